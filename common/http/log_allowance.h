#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace slipway::http {

/// Lets so many lines through in each window of time, so that strangers cannot fill the journal.
/// Pure.
class LogAllowance {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    LogAllowance(std::uint64_t lines, std::chrono::seconds window)
        : lines_(lines), window_(window) {}

    /// Nothing if the line is to be dropped; else how many were dropped since the last one.
    [[nodiscard]] std::optional<std::uint64_t> take(TimePoint now) {
        if (!begun_ || now - *begun_ >= window_) {
            begun_ = now;
            used_ = 0;
        }
        if (used_ >= lines_) {
            ++dropped_;
            return std::nullopt;
        }
        ++used_;
        const auto dropped = dropped_;
        dropped_ = 0;
        return dropped;
    }

private:
    std::uint64_t lines_;
    std::chrono::seconds window_;
    std::optional<TimePoint> begun_;
    std::uint64_t used_ = 0;
    std::uint64_t dropped_ = 0;
};

} // namespace slipway::http
