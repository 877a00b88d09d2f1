#include "orchestrator/core/liveness.h"

#include <algorithm>

namespace slipway::orchestrator {

Liveness::Liveness(Limits limits, TimePoint now)
    : limits_(limits), checked_(now), quiet_until_(now + limits.grace) {}

void Liveness::expect(const std::string& host) {
    hosts_.try_emplace(host, Entry{.owes_from = checked_});
}

void Liveness::forget(const std::string& host) {
    hosts_.erase(host);
}

bool Liveness::heard(const std::string& host, TimePoint answer_by) {
    auto& entry = hosts_[host];
    const bool is_back = entry.lost || !entry.ever_heard;
    const auto from = entry.waiting > 0 ? std::max(entry.owes_from, answer_by) : answer_by;
    entry = {.owes_from = from, .waiting = entry.waiting + 1, .lost = false, .ever_heard = true};
    return is_back;
}

void Liveness::answered(const std::string& host, TimePoint now) {
    const auto found = hosts_.find(host);
    if (found == hosts_.end() || found->second.waiting == 0) {
        return;
    }
    --found->second.waiting;
    if (found->second.waiting == 0) {
        found->second.owes_from = now;
    }
}

std::vector<std::string> Liveness::check(TimePoint now) {
    if (now - checked_ > limits_.check_late) {
        quiet_until_ = now + limits_.grace;
    }
    checked_ = now;
    std::vector<std::string> lost;
    if (now < quiet_until_) {
        return lost;
    }
    for (auto& [name, entry] : hosts_) {
        if (!entry.lost && now - entry.owes_from >= limits_.patience) {
            entry.lost = true;
            lost.push_back(name);
        }
    }
    return lost;
}

bool Liveness::is_lost(const std::string& host) const {
    const auto found = hosts_.find(host);
    return found == hosts_.end() || found->second.lost;
}

} // namespace slipway::orchestrator
