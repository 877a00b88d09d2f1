#include "seeder/core/push_rules.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway::seeder {
namespace {
const std::string digest(64, 'a');
}

TEST_CASE("push: a file is named by what vouches for it", "[push]") {
    const auto pack = push_object("/v1/push/packs/" + digest);
    REQUIRE(pack);
    CHECK(pack->kind == PushKind::pack);
    CHECK(pack->path == "packs/" + digest);
    CHECK(pack->digest.hex() == digest);
    const auto target = push_object("/v1/push/targets/web/1.0/" + digest + ".manifest.json");
    REQUIRE(target);
    CHECK(target->kind == PushKind::target);
    const auto metadata = push_object("/v1/push/metadata/17.targets.json");
    REQUIRE(metadata);
    CHECK(metadata->kind == PushKind::metadata);
    CHECK(push_object("/v1/push/metadata/3.team%2Fweb.json") ==
          std::nullopt); // No escapes in URLs.
}

TEST_CASE("push: nothing else of a repository can be sent", "[push]") {
    for (const auto& bad :
         {std::string("/v1/push/"), "/v1/push/packs/" + digest + ".torrent",
          "/v1/push/packs/x/" + digest, "/v1/push/packs/" + digest.substr(1),
          "/v1/push/packs/" + std::string(64, 'A'), std::string("/v1/push/metadata/timestamp.json"),
          std::string("/v1/push/metadata/targets.json"), std::string("/v1/push/metadata/1..json"),
          std::string("/v1/push/metadata/x/1.root.json"), std::string("/v1/push/metadata/1.json"),
          "/v1/push/targets/" + digest, "/v1/push/targets/../packs/" + digest + ".x",
          "/v1/push/targets/web/" + digest + ".", std::string("/v1/push/incoming/x"),
          std::string("/v1/push/.lock"), "/packs/" + digest, "/v1/pushpacks/" + digest}) {
        CAPTURE(bad);
        CHECK_FALSE(push_object(bad));
    }
}

TEST_CASE("push: a part says where it belongs", "[push]") {
    const auto range = push_range("bytes 100-199/1000");
    REQUIRE(range);
    CHECK(range->offset == 100);
    CHECK(range->bytes == 100);
    CHECK(range->total == 1000);
    CHECK(push_range("bytes 0-0/1"));
    for (const auto* bad :
         {"", "bytes", "bytes 0-99", "bytes 0-99/*", "bytes */100", "bytes 5-4/10", "bytes 0-10/10",
          "bytes -1-3/10", "bytes 0 -3/10", "items 0-3/10", "bytes 0-99999999999999999999/1",
          "bytes 0-67108864/99999999999", "bytes 0/1-5"}) {
        CAPTURE(bad);
        CHECK_FALSE(push_range(bad));
    }
    CHECK(push_range("bytes 0-67108863/99999999999")->bytes == push_request_bytes_max);
}

TEST_CASE("push: a part that does not follow what is there is refused with the place", "[push]") {
    const auto pack = push_object("/v1/push/packs/" + digest);
    CHECK(check_push(*pack, {.offset = 100, .bytes = 10, .total = 200}, 100));
    const auto gap = check_push(*pack, {.offset = 100, .bytes = 10, .total = 200}, 50);
    REQUIRE_FALSE(gap);
    CHECK(gap.error().code == Errc::failed);
    CHECK_THAT(gap.error().context, Catch::Contains("50 bytes are here"));
    const auto metadata = push_object("/v1/push/metadata/1.root.json");
    CHECK_FALSE(check_push(*metadata, {.offset = 0, .bytes = 10, .total = 5'000'001}, 0));
}

} // namespace slipway::seeder
