#include "agent/io/stage_timer.h"

namespace slipway::agent {
namespace {

using Clock = std::chrono::steady_clock;

} // namespace

StageTimer::StageTimer() : clock_(Clock::now()) {}

void StageTimer::phase(std::string_view name) {
    const std::lock_guard lock(mutex_);
    clock_.phase(name, Clock::now());
}

void StageTimer::added(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    clock_.bytes_came(bytes, Clock::now());
}

void StageTimer::noted(std::string_view text) {
    const std::lock_guard lock(mutex_);
    add_remark(remarks_, text);
}

void StageTimer::asking_begins() {
    const std::lock_guard lock(mutex_);
    clock_.asking_begins(Clock::now());
}

void StageTimer::fetch_begins() {
    const std::lock_guard lock(mutex_);
    clock_.fetch_begins(Clock::now());
}

void StageTimer::turn_comes() {
    const std::lock_guard lock(mutex_);
    clock_.turn_comes(Clock::now());
}

void StageTimer::fetch_ends() {
    const std::lock_guard lock(mutex_);
    clock_.fetch_ends(Clock::now());
}

StageTimes StageTimer::times() const {
    const std::lock_guard lock(mutex_);
    return {.times = clock_.times(Clock::now()), .remarks = remarks_};
}

Result<std::vector<std::vector<Range>>>
TimedSource::missing(const std::vector<PackRequest>& requests, std::stop_token stop) {
    timer_.asking_begins();
    if (!has_turns_) {
        timer_.turn_comes();
    }
    auto missing = source_.missing(requests, std::move(stop));
    timer_.fetch_ends();
    return missing;
}

Result<> TimedSource::fetch(const std::vector<PackRequest>& requests, std::stop_token stop) {
    timer_.fetch_begins();
    if (!has_turns_) {
        timer_.turn_comes();
    }
    auto fetched = source_.fetch(requests, std::move(stop));
    timer_.fetch_ends();
    return fetched;
}

} // namespace slipway::agent
