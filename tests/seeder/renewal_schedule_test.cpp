#include "seeder/core/renewal_schedule.h"

#include <catch2/catch.hpp>

namespace slipway::seeder {
using namespace std::chrono_literals;

TEST_CASE("RenewalSchedule: regular when it works, sooner after a failure, bounded", "[renewal]") {
    RenewalSchedule schedule({.period = 60s, .retry_min = 10s});
    CHECK(schedule.after(true) == 60s);
    for (const auto expected : {10s, 20s, 40s, 60s, 60s}) {
        CHECK(schedule.after(false) == expected);
    }
    CHECK(schedule.after(true) == 60s);
    CHECK(schedule.after(false) == 10s);
}

} // namespace slipway::seeder
