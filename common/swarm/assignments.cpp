#include "common/swarm/assignments.h"

#include <algorithm>

namespace slipway::swarm {
namespace {

constexpr std::chrono::seconds starving_after{1};

} // namespace

void Assignments::enter(const std::string& swarm, std::shared_ptr<Ledger> ledger, Connect connect) {
    {
        const std::lock_guard lock(mutex_);
        swarms_[swarm] = {std::move(ledger), std::move(connect)};
    }
    touch();
}

void Assignments::leave(const std::string& swarm) {
    {
        const std::lock_guard lock(mutex_);
        swarms_.erase(swarm);
    }
    touch();
}

void Assignments::touch() {
    const std::lock_guard lock(listener_mutex_);
    if (listener_) {
        listener_();
    }
}

void Assignments::on_change(std::function<void()> listener) {
    const std::lock_guard lock(listener_mutex_);
    listener_ = std::move(listener);
}

bool Assignments::trouble() const {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    return std::ranges::any_of(swarms_, [&](const auto& entry) {
        const auto& ledger = *entry.second.ledger;
        return !ledger.complete() &&
               (now - ledger.last_arrival() >= starving_after || ledger.has_stalled());
    });
}

std::vector<Standing> Assignments::standings() const {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    std::vector<Standing> all;
    for (const auto& [swarm, entry] : swarms_) {
        Standing standing{.swarm = swarm, .lacks = entry.ledger->lacking_bytes(), .bad = {}};
        standing.starving =
            standing.lacks > 0 && now - entry.ledger->last_arrival() >= starving_after;
        if (standing.lacks > 0) {
            standing.bad = entry.ledger->take_stalled();
        }
        all.push_back(std::move(standing));
    }
    return all;
}

void Assignments::connect(const std::string& swarm, const std::vector<PeerAddress>& peers) const {
    const std::lock_guard lock(mutex_);
    if (const auto found = swarms_.find(swarm); found != swarms_.end() && !peers.empty()) {
        found->second.connect(peers);
    }
}

} // namespace slipway::swarm
