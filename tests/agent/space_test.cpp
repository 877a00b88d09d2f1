#include "agent/core/space.h"

#include <catch2/catch.hpp>

namespace slipway::agent {

TEST_CASE("space: a refusal says how much is needed, how much there is, and where", "[space]") {
    CHECK(check_space({100, 1}, {100, 1}, "/data"));
    const auto refused = check_space({5ULL << 30U, 1}, {1ULL << 20U, 9}, "/data");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == std::errc::no_space_on_device);
    CHECK(refused.error().context ==
          "/data: needs 5.00 GiB, has 1.00 MiB available; nothing was changed");
    CHECK(check_space({1, 10}, {1, 9}, "/data").error().context ==
          "/data: needs 10 inodes, has 9 available; nothing was changed");
}

TEST_CASE("space: bytes are told in the unit that a person would choose", "[space]") {
    CHECK(human_bytes(1023) == "1023 bytes");
    CHECK(human_bytes(1024) == "1.00 KiB");
    CHECK(human_bytes(15 * 1024) == "15 KiB");
    CHECK(human_bytes(UINT64_MAX) == "16 EiB");
}

} // namespace slipway::agent
