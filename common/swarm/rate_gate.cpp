#include "common/swarm/rate_gate.h"

#include <algorithm>

namespace slipway::swarm {

void RateSchedule::set_rate(std::uint64_t bytes_per_s) {
    bytes_per_s_ = bytes_per_s;
    free_at_ = {};
}

RateSchedule::TimePoint RateSchedule::take(std::uint64_t bytes, TimePoint now) {
    if (bytes_per_s_ == 0) {
        return now;
    }
    const auto from = std::max(free_at_, now);
    // A day at most: nothing overflows, whatever is asked for at whatever rate.
    const auto seconds =
        std::min(static_cast<double>(bytes) / static_cast<double>(bytes_per_s_), 86'400.0);
    free_at_ = from + std::chrono::duration_cast<TimePoint::duration>(
                          std::chrono::duration<double>(seconds));
    return from;
}

void RateGate::set_rate(std::uint64_t bytes_per_s) {
    {
        const std::lock_guard lock(mutex_);
        if (schedule_.rate() == bytes_per_s) {
            return;
        }
        schedule_.set_rate(bytes_per_s);
        ++changes_;
    }
    changed_.notify_all();
}

std::uint64_t RateGate::portion(std::uint64_t most) const {
    const std::lock_guard lock(mutex_);
    const auto rate = schedule_.rate();
    return rate == 0 ? most : std::clamp<std::uint64_t>(rate / 4, 1, most);
}

void RateGate::pass(std::uint64_t bytes, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    const auto from = schedule_.take(bytes, std::chrono::steady_clock::now());
    const auto before = changes_;
    changed_.wait_until(lock, stop, from, [&] { return changes_ != before; });
}

} // namespace slipway::swarm
