#include "common/http/listen_address.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway::http {

TEST_CASE("parse_listen_address: what is loopback decides who may read", "[http]") {
    CHECK(parse_listen_address("127.0.0.1:80")->loopback);
    CHECK(parse_listen_address("127.9.9.9:0")->loopback);
    CHECK(parse_listen_address("localhost:1")->ip == "127.0.0.1");
    CHECK(parse_listen_address("[::1]:443")->loopback);
    CHECK_FALSE(parse_listen_address("0.0.0.0:80")->loopback);
    CHECK_FALSE(parse_listen_address("[::]:80")->loopback);
    for (const auto* bad :
         {"", "127.0.0.1", ":80", "127.0.0.1:65536", "::1:80", "host:80", "[::1]", "127.0.0.1:x"}) {
        CAPTURE(bad);
        CHECK(parse_listen_address(bad).error().code == Errc::usage);
    }
    CHECK(host_port("::1", 80) == "[::1]:80");
}

} // namespace slipway::http
