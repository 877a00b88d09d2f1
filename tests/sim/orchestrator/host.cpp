#include "tests/sim/orchestrator/host.h"

#include <algorithm>

namespace slipway::sim {

std::string SimHost::obey(const OrderHost& order, Mutation mutation) {
    const bool is_old = order.epoch < epoch_;
    const bool is_known = order.epoch == epoch_ && order.generation <= generation_;
    if (is_old && mutation != Mutation::obey_old_epoch) {
        return {};
    }
    if (is_known && !is_old && mutation != Mutation::obey_twice) {
        return {};
    }
    const bool is_repeated = !applied_.emplace(order.epoch, order.generation).second;
    const auto seen = epoch_;
    epoch_ = std::max(epoch_, order.epoch);
    generation_ = order.generation;
    const auto found = order.desired.services.find("web");
    want_ = found == order.desired.services.end() ? api::ServiceDesired() : found->second;
    if (order.epoch < seen) {
        return "I3: " + name_ + " obeyed epoch " + std::to_string(order.epoch) + " after " +
               std::to_string(seen);
    }
    return is_repeated
               ? "I4: " + name_ + " acted twice on generation " + std::to_string(order.generation)
               : std::string();
}

bool SimHost::is_bad(const Release& release) const {
    return std::ranges::any_of(bad_, [&](const ServiceReport::Bad& bad) {
        return bad.digest == *release.digest && bad.attempt >= release.attempt;
    });
}

void SimHost::run(std::int64_t now, Random& random, const std::map<std::string, Nature>& natures) {
    if (!is_up(now)) {
        was_down_ = true;
        return;
    }
    if (was_down_) { // After a reboot the daemon and the service start again.
        was_down_ = false;
        ++boots_;
        crashes_ = 0;
        busy_until_ = now + 500;
        starting_ = running_;
    }
    if (!want_.stage.empty() && !staged_.contains(want_.stage.front().digest->hex())) {
        if (stage_at_ == 0) {
            stage_at_ = now + 200 + static_cast<std::int64_t>(random.below(2'000));
        } else if (now >= stage_at_) {
            staged_.insert(want_.stage.front().digest->hex());
            stage_at_ = 0;
        }
    }
    const auto nature = [&](const Release& release) {
        return natures.at(release.artifact.version);
    };
    if (busy_until_ != 0) {
        if (now < busy_until_) {
            return;
        }
        busy_until_ = 0;
        if (starting_ && nature(*starting_) == Nature::fails_probe) {
            bad_.push_back({*starting_->digest, starting_->attempt, "probe: status 500"});
            starting_.reset();
            ready_ = running_.has_value(); // Back to the release before.
        } else {
            running_ = starting_;
            starting_.reset();
            ready_ = running_.has_value();
        }
    }
    if (want_.run && !is_bad(*want_.run) && !(running_ && same_bytes(*running_, *want_.run))) {
        starting_ = want_.run;
        staged_.insert(want_.run->digest->hex());
        ready_ = false;
        busy_until_ = now + 300 + static_cast<std::int64_t>(random.below(2'500));
        return;
    }
    if (running_ && nature(*running_) == Nature::crashes_later && random.chance(80)) {
        ++crashes_;
        ready_ = false;
        starting_ = running_;
        busy_until_ = now + 400;
    }
}

HostReport SimHost::report() const {
    HostReport report{name_, labels_, "boot" + std::to_string(boots_), epoch_, generation_, {}};
    auto& web = report.services["web"];
    if (running_) {
        web.running = ServiceReport::Running{running_->artifact.text(), running_->digest};
    }
    for (const auto& hex : staged_) {
        web.staged.push_back(*Sha256Digest::from_hex(hex));
    }
    web.ready = ready_ && busy_until_ == 0 && !is_flapping_;
    web.bad = bad_;
    web.crashes = crashes_;
    return report;
}

} // namespace slipway::sim
