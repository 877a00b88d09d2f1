#include "agent/core/probe_verdict.h"

#include <algorithm>
#include <cassert>

namespace slipway::agent {

ProbeVerdict::ProbeVerdict(const RunSpec& spec, TimePoint start)
    : start_(start), ready_within_(spec.ready_within), bake_(spec.bake),
      restarts_max_(spec.bake_restarts), ready_at_(start) {
    for (const auto& probe : spec.probes) {
        probes_.push_back({.spec = probe, .next = start, .last = "no result yet"});
    }
}

std::vector<std::size_t> ProbeVerdict::due(TimePoint now) {
    std::vector<std::size_t> out;
    for (std::size_t number = 0; !final() && number < probes_.size(); ++number) {
        auto& probe = probes_[number];
        if (!probe.running && now >= probe.next) {
            probe.running = true;
            probe.next = now + probe.spec.interval;
            out.push_back(number);
        }
    }
    return out;
}

void ProbeVerdict::probed(std::size_t number, const ProbeResult& result, TimePoint now) {
    assert(number < probes_.size());
    auto& probe = probes_[number];
    probe.running = false;
    if (final()) {
        return;
    }
    using Outcome = ProbeResult::Outcome;
    if (result.outcome == Outcome::success) {
        probe.succeeded_once = true;
        probe.failures = 0;
        ++probe.successes;
        tick(now);
        return;
    }
    probe.successes = 0;
    probe.last = result.detail;
    const bool counts = probe.succeeded_once || now >= start_ + probe.spec.start_period;
    if (result.outcome == Outcome::unknown) {
        probe.failures = 0;
    } else if (counts && ++probe.failures >= probe.spec.failures) {
        fail_with("probe " + probe.spec.name() + " failed " + std::to_string(probe.failures) +
                  " times in a row: " + result.detail);
    }
    tick(now);
}

void ProbeVerdict::unit_seen(const UnitHealth& health, TimePoint now) {
    if (final()) {
        return;
    }
    if (health.failed) {
        return fail_with(health.detail);
    }
    // The number before readiness is the base: a unit may need a second start to come up.
    if (state_ == State::starting || !restarts_seen_) {
        restarts_seen_ = health.restarts;
    }
    // A smaller number means that the unit was started anew from outside; count from there.
    restarts_seen_ = std::min(*restarts_seen_, health.restarts);
    const auto restarts = health.restarts - *restarts_seen_;
    if (state_ == State::baking && restarts > restarts_max_) {
        return fail_with("restarted " + std::to_string(restarts) + " times while it baked (" +
                         std::to_string(restarts_max_) + " allowed): " + health.detail);
    }
    tick(now);
}

void ProbeVerdict::tick(TimePoint now) {
    if (state_ == State::starting) {
        if (all_hold()) {
            state_ = State::baking;
            ready_at_ = now;
        } else if (now >= start_ + ready_within_) {
            fail_with("not ready within " + duration_text(ready_within_) + ": " + waiting_for());
        }
    }
    if (state_ == State::baking && now >= ready_at_ + bake_) {
        if (all_hold()) {
            state_ = State::healthy;
        } else if (now >= ready_at_ + bake_ + ready_within_) {
            fail_with("did not hold at the end of its bake: " + waiting_for());
        }
    }
}

std::string ProbeVerdict::reason() const {
    switch (state_) {
    case State::starting:
        return "waits for " + waiting_for();
    case State::baking:
        return all_hold() ? "bakes for " + duration_text(bake_) : "waits for " + waiting_for();
    case State::healthy:
        return "held for " + duration_text(bake_);
    case State::failed:
        break;
    }
    return why_;
}

std::optional<ProbeVerdict::TimePoint> ProbeVerdict::next() const {
    if (final()) {
        return std::nullopt;
    }
    auto soonest = state_ == State::starting ? start_ + ready_within_
                   : all_hold()              ? ready_at_ + bake_
                                             : ready_at_ + bake_ + ready_within_;
    for (const auto& probe : probes_) {
        if (!probe.running) {
            soonest = std::min(soonest, probe.next);
        }
    }
    return soonest;
}

bool ProbeVerdict::all_hold() const {
    return std::ranges::all_of(probes_, [](const Probe& probe) { return probe.holds(); });
}

std::string ProbeVerdict::waiting_for() const {
    std::string out;
    for (const auto& probe : probes_) {
        if (!probe.holds()) {
            out += (out.empty() ? "probe " : ", probe ") + probe.spec.name() + " (" + probe.last +
                   "; " + std::to_string(probe.successes) + " of " +
                   std::to_string(probe.spec.successes) + " successes)";
        }
    }
    return out.empty() ? "the probes" : out;
}

void ProbeVerdict::fail_with(std::string why) {
    state_ = State::failed;
    why_ = std::move(why);
}

} // namespace slipway::agent
