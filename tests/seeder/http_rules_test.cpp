#include "seeder/core/http_rules.h"

#include <catch2/catch.hpp>

namespace slipway::seeder {

TEST_CASE("repository_path: only files of the layout can be asked for", "[http]") {
    CHECK(repository_path("/metadata/1.root.json") == "metadata/1.root.json");
    CHECK(repository_path("/targets/team/web/1.0+b~1/ab.manifest.json"));
    for (const auto* bad :
         {"/", "/metadata/", "/metadata", "/.lock", "/packs/.x.0123456789abcdef.tmp", "/packs/../x",
          "/packs//x", "/packs/a/../../keys", "/packs/%2e%2e/x", "/packs/a\\b", "packs/x", "/tmp/x",
          "/packs/x?y", ""}) {
        CAPTURE(bad);
        CHECK_FALSE(repository_path(bad));
    }
    CHECK_FALSE(repository_path("/packs/" + std::string(2'000, 'a')));
}

TEST_CASE("range_to_send: RFC 9110's cases", "[http]") {
    const auto range = [](std::string_view header) { return range_to_send(header, 1'000); };
    CHECK(range("")->bytes == 1'000);
    CHECK_FALSE(range("")->partial);
    CHECK(range("bytes=0-0")->bytes == 1);
    CHECK(range("bytes=10-19")->offset == 10);
    CHECK(range("bytes=10-19")->bytes == 10);
    CHECK(range("bytes=990-2000")->bytes == 10);
    CHECK(range("bytes=990-")->bytes == 10);
    CHECK(range("bytes=-5")->offset == 995);
    CHECK(range("bytes=-5000")->bytes == 1'000);
    CHECK_FALSE(range("bytes=1000-"));
    CHECK_FALSE(range("bytes=-0"));
    for (const auto* ignored : {"bytes=5-2", "bytes=a-b", "items=0-1", "bytes=0-1,5-6",
                                "bytes=", "bytes=-", "bytes=99999999999999999999-"}) {
        CAPTURE(ignored);
        CHECK_FALSE(range(ignored)->partial);
    }
    CHECK(range_to_send("", 0)->bytes == 0);
    CHECK_FALSE(range_to_send("bytes=0-", 0));
}

} // namespace slipway::seeder
