#include "agent/core/transfer_limits.h"

#include <algorithm>
#include <array>

#include "common/core/errc.h"
#include "common/core/numbers.h"

namespace slipway::agent {
namespace {

constexpr unsigned days_a_week = 7;

std::uint64_t lower(std::uint64_t a, std::uint64_t b) {
    return a == 0 ? b : b == 0 ? a : std::min(a, b);
}

bool holds(const RateWindow& window, WeekMinute minute) {
    const auto day = minute / minutes_a_day % days_a_week;
    const auto of_day = minute % minutes_a_day;
    const auto begins_on = [&](unsigned which) { return (window.days >> which & 1U) != 0; };
    if (window.from_minute < window.to_minute) {
        return begins_on(day) && window.from_minute <= of_day && of_day < window.to_minute;
    }
    const auto day_before = (day + days_a_week - 1) % days_a_week;
    return (begins_on(day) && window.from_minute <= of_day) ||
           (begins_on(day_before) && of_day < window.to_minute);
}

} // namespace

Rates rates_at(const TransferLimits& limits, WeekMinute minute) {
    auto rates = limits.always;
    for (const auto& window : limits.windows) {
        if (holds(window, minute)) {
            rates.upload_bytes_per_s =
                lower(rates.upload_bytes_per_s, window.rates.upload_bytes_per_s);
            rates.download_bytes_per_s =
                lower(rates.download_bytes_per_s, window.rates.download_bytes_per_s);
        }
    }
    return rates;
}

Result<unsigned> parse_clock(std::string_view text) {
    const auto wrong = fail(Errc::usage, "'" + std::string(text.substr(0, 16)) +
                                             "' is no time of day; write it as \"08:30\"");
    if (text.size() != 5 || text[2] != ':') {
        return wrong;
    }
    const auto hour = parse_number<unsigned>(text.substr(0, 2));
    const auto minute = parse_number<unsigned>(text.substr(3));
    if (!hour || !minute || *minute > 59 || *hour * 60 + *minute > minutes_a_day) {
        return wrong;
    }
    return *hour * 60 + *minute;
}

Result<unsigned> parse_day(std::string_view text) {
    constexpr std::array<std::string_view, days_a_week> names{"mon", "tue", "wed", "thu",
                                                              "fri", "sat", "sun"};
    const auto* const found = std::ranges::find(names, text);
    if (found == names.end()) {
        return fail(Errc::usage, "'" + std::string(text.substr(0, 16)) +
                                     "' is no day; days are mon, tue, wed, thu, fri, sat, sun");
    }
    return 1U << static_cast<unsigned>(found - names.begin());
}

} // namespace slipway::agent
