#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

namespace slipway::swarm {

/// When the next bytes may be asked for, so that all together stay at a rate. Pure: time comes in.
class RateSchedule {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    /// 0: no limit. What was asked for before is forgotten.
    void set_rate(std::uint64_t bytes_per_s);
    [[nodiscard]] std::uint64_t rate() const { return bytes_per_s_; }
    /// From when `bytes` may be asked for; they count as asked for then.
    [[nodiscard]] TimePoint take(std::uint64_t bytes, TimePoint now);

private:
    std::uint64_t bytes_per_s_ = 0;
    TimePoint free_at_;
};

/// The same for threads that ask web servers, whose transfers libtorrent does not limit.
/// Thread-safe.
class RateGate {
public:
    void set_rate(std::uint64_t bytes_per_s);
    /// How much may be asked for at a time: a quarter of a second's bytes, `most` without a limit.
    [[nodiscard]] std::uint64_t portion(std::uint64_t most) const;
    /// Waits until `bytes` may be asked for, the rate changes, or a stop is requested.
    void pass(std::uint64_t bytes, const std::stop_token& stop);

private:
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    RateSchedule schedule_;
    std::uint64_t changes_ = 0;
};

} // namespace slipway::swarm
