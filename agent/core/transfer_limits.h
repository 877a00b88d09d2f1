#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.h"

namespace slipway::agent {

/// Bytes a second; 0: no limit.
struct Rates {
    std::uint64_t upload_bytes_per_s = 0;
    std::uint64_t download_bytes_per_s = 0;
    bool operator==(const Rates&) const = default;
};

inline constexpr unsigned minutes_a_day = 24 * 60;

/// A time of the week at which other limits hold: from `from_minute` of each of its days, for
/// people's hours, until `to_minute`; to the next day when that is not later.
struct RateWindow {
    std::string name;         ///< For messages.
    unsigned days = 0;        ///< Bit 0: Monday, bit 6: Sunday.
    unsigned from_minute = 0; ///< Of the day, local time.
    unsigned to_minute = 0;
    Rates rates;
    bool operator==(const RateWindow&) const = default;
};

struct TransferLimits {
    Rates always;
    std::vector<RateWindow> windows;
    bool operator==(const TransferLimits&) const = default;
};

/// A minute of the week: 0 is Monday 00:00, local time.
using WeekMinute = unsigned;

/// The limits that hold at a minute: of all that apply, the lowest of each. Windows only lower.
[[nodiscard]] Rates rates_at(const TransferLimits& limits, WeekMinute minute);

/// "08:30" as minute of the day; "24:00" is its end. Error: Errc::usage.
[[nodiscard]] Result<unsigned> parse_clock(std::string_view text);
/// "mon", ..., "sun" as a bit of RateWindow::days. Error: Errc::usage.
[[nodiscard]] Result<unsigned> parse_day(std::string_view text);

} // namespace slipway::agent
