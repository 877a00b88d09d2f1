#include "common/http/half_open.h"

#include <catch2/catch.hpp>

#include "common/http/log_allowance.h"

namespace slipway::http {

TEST_CASE("half-open: one address cannot take all places", "[half_open]") {
    HalfOpen counted({.all = 5, .of_one_address = 3});
    for (int i = 0; i < 3; ++i) {
        CHECK(counted.enter("192.0.2.1"));
    }
    CHECK_FALSE(counted.enter("192.0.2.1"));
    CHECK(counted.enter("192.0.2.2"));
    CHECK(counted.enter("192.0.2.3"));
    CHECK_FALSE(counted.enter("192.0.2.4")); // The total.
    counted.leave("192.0.2.1");
    CHECK(counted.enter("192.0.2.1"));
    CHECK(counted.count() == 5);
}

TEST_CASE("log allowance: so many lines a window, and what was dropped is told", "[half_open]") {
    using namespace std::chrono_literals;
    LogAllowance allowance(2, 10s);
    const LogAllowance::TimePoint start{};
    CHECK(allowance.take(start) == 0);
    CHECK(allowance.take(start + 1s) == 0);
    CHECK_FALSE(allowance.take(start + 2s));
    CHECK_FALSE(allowance.take(start + 9s));
    CHECK(allowance.take(start + 10s) == 2);
    CHECK(allowance.take(start + 10s) == 0);
    CHECK_FALSE(allowance.take(start + 11s));
}

} // namespace slipway::http
