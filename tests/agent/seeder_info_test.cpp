#include "agent/core/seeder_info.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway::agent {

TEST_CASE("seeder info: says where the swarm is; keys of a newer seeder are let be", "[seeder]") {
    const auto info = decode_seeder_info(
        as_bytes(
            R"({"version":1,"region":"eu","bittorrent":{"ip":"192.0.2.1","port":6881},"x":[]})"),
        "test");
    CHECK(info.value() == SeederInfo{"eu", "192.0.2.1", 6881});
}

TEST_CASE("seeder info: garbage is refused and named", "[seeder]") {
    for (const auto* const bad :
         {"", "<html>", "[]", "{}", R"({"version":2,"bittorrent":{"ip":"1.2.3.4","port":1}})",
          R"({"version":1,"bittorrent":[]})", R"({"version":1,"bittorrent":{"ip":"1.2.3.4"}})",
          R"({"version":1,"bittorrent":{"ip":"1.2.3.4","port":0}})",
          R"({"version":1,"bittorrent":{"ip":"1.2.3.4","port":65536}})",
          R"({"version":1,"bittorrent":{"ip":"1.2.3.4","port":-1}})",
          R"({"version":1,"bittorrent":{"ip":7,"port":1}})"}) {
        const auto info = decode_seeder_info(as_bytes(bad), "http://x/v1/seeder");
        REQUIRE_FALSE(info);
        CHECK(info.error().code == Errc::verification_failed);
        CHECK(info.error().context.find("http://x/v1/seeder") == 0);
    }
}

TEST_CASE("local_directory: paths and file URLs are directories of this host", "[seeder]") {
    CHECK(local_directory("/srv/repo") == "/srv/repo");
    CHECK(local_directory("file:///srv/a%20b%2") == "/srv/a b%2");
    CHECK(local_directory("http://h/repo") == std::nullopt);
}

TEST_CASE("join_url: one slash between", "[seeder]") {
    CHECK(join_url("http://h", "a/b") == "http://h/a/b");
    CHECK(join_url("http://h/", "a/b") == "http://h/a/b");
}

} // namespace slipway::agent
