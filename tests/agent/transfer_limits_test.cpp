#include "agent/core/transfer_limits.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway::agent {
namespace {

constexpr WeekMinute at(unsigned day, unsigned hour, unsigned minute) {
    return day * minutes_a_day + hour * 60 + minute;
}

TEST_CASE("rates_at: a window holds from its first minute until before its last", "[limits]") {
    const TransferLimits limits{{100, 200}, {{"office", 0b11111, 8 * 60, 18 * 60, {10, 0}}}};
    CHECK(rates_at(limits, at(0, 7, 59)) == Rates{100, 200});
    CHECK(rates_at(limits, at(0, 8, 0)) == Rates{10, 200});
    CHECK(rates_at(limits, at(4, 17, 59)) == Rates{10, 200});
    CHECK(rates_at(limits, at(4, 18, 0)) == Rates{100, 200});
    CHECK(rates_at(limits, at(5, 12, 0)) == Rates{100, 200});
}

TEST_CASE("rates_at: a window beyond midnight ends on the day after its own", "[limits]") {
    const TransferLimits sunday{{}, {{"night", 1U << 6U, 22 * 60, 6 * 60, {7, 7}}}};
    CHECK(rates_at(sunday, at(6, 21, 59)) == Rates{});
    CHECK(rates_at(sunday, at(6, 22, 0)) == Rates{7, 7});
    CHECK(rates_at(sunday, at(0, 5, 59)) == Rates{7, 7}); // Monday follows Sunday.
    CHECK(rates_at(sunday, at(0, 6, 0)) == Rates{});
    CHECK(rates_at(sunday, at(6, 1, 0)) == Rates{});
    const TransferLimits all_day{{}, {{"day", 1U, 0, minutes_a_day, {1, 1}}}};
    CHECK(rates_at(all_day, at(0, 23, 59)) == Rates{1, 1});
    CHECK(rates_at(all_day, at(1, 0, 0)) == Rates{});
}

TEST_CASE("rates_at: of all that apply the lowest counts, and no limit is the highest",
          "[limits]") {
    const RateWindow a{"a", 127, 0, minutes_a_day, {50, 0}};
    const RateWindow b{"b", 127, 0, minutes_a_day, {70, 30}};
    CHECK(rates_at({{0, 0}, {a, b}}, 0) == Rates{50, 30});
    CHECK(rates_at({{0, 0}, {b, a}}, 0) == Rates{50, 30});
    CHECK(rates_at({{20, 500}, {a, b}}, 0) == Rates{20, 30});
}

TEST_CASE("parse_clock, parse_day: what is no time or day is refused", "[limits]") {
    CHECK(parse_clock("00:00") == 0U);
    CHECK(parse_clock("08:30") == 510U);
    CHECK(parse_clock("24:00") == minutes_a_day);
    for (const auto* wrong : {"", "8:30", "24:01", "12:60", "aa:00", "12-00", "-1:00", "12:000"}) {
        CAPTURE(wrong);
        CHECK(parse_clock(wrong).error().code == Errc::usage);
    }
    CHECK(parse_day("mon") == 1U);
    CHECK(parse_day("sun") == 64U);
    CHECK(parse_day("Monday").error().code == Errc::usage);
}

} // namespace
} // namespace slipway::agent
