#include <algorithm>

#include "common/core/errc.h"
#include "orchestrator/core/fleet_state.h"
#include "orchestrator/core/membership.h"

namespace slipway::orchestrator {
namespace {

constexpr std::size_t earlier_max = 16;
constexpr std::size_t quarantined_max = 64;
constexpr std::size_t tried_max = 256;

void push_bounded(std::vector<Release>& list, const Release& release, std::size_t max) {
    list.push_back(release);
    if (list.size() > max) {
        list.erase(list.begin());
    }
}

// Applies one record. Each function checks all that it needs before it changes anything.
class Applier {
public:
    Applier(FleetState& state, const Logged& logged)
        : state_(state), log_(state.log), logged_(logged) {}

    Result<> operator()(const EpochBegan& r) {
        if (r.epoch <= log_.epoch) {
            return misfit("the epoch does not grow");
        }
        log_.epoch = r.epoch;
        return {};
    }
    Result<> operator()(const ClockKept&) { return {}; }
    Result<> operator()(const HostSeen& r) {
        const auto [at, is_new] = log_.hosts.try_emplace(r.host);
        if (is_new) {
            at->second.generation = log_.generation_floor;
        }
        at->second.labels = r.labels;
        update_membership(log_, r.host);
        touch(r.host, "");
        return {};
    }
    Result<> operator()(const HostForgotten& r) {
        const auto found = log_.hosts.find(r.host);
        if (found == log_.hosts.end()) {
            return misfit("there is no such host");
        }
        log_.generation_floor = std::max(log_.generation_floor, found->second.generation);
        for (auto& [key, members] : log_.members) {
            members.erase(r.host);
        }
        for (auto& [id, deployment] : log_.deployments) {
            if (!is_over(deployment.phase)) {
                deployment.hosts.erase(r.host);
                state_.seen.dirty.insert(id);
            }
        }
        log_.hosts.erase(found);
        state_.seen.hosts.erase(r.host);
        state_.seen.changed.erase(r.host);
        return {};
    }
    Result<> operator()(const EnvironmentPut& r) {
        auto& environment = log_.environments[r.key];
        environment.spec = r.spec;
        if (r.good && !environment.good) {
            environment.good = r.good;
        }
        for (const auto& host : update_memberships(log_, r.key.service)) {
            touch(host, "");
        }
        if (r.good) {
            touch_members(r.key, "");
        }
        return {};
    }
    Result<> operator()(const FreezePut& r) {
        log_.freezes[r.scope] = {r.scope, r.by, r.why, logged_.at_unix_ms};
        look_at_all();
        return {};
    }
    Result<> operator()(const FreezeRemoved& r) {
        log_.freezes.erase(r.scope);
        look_at_all();
        return {};
    }
    Result<> operator()(const DeploymentCreated& r) {
        const auto environment = log_.environments.find(r.key);
        if (environment == log_.environments.end() || !environment->second.active.empty() ||
            log_.deployments.contains(r.deployment)) {
            return misfit("no environment is free for it");
        }
        if (r.is_rollback && (!r.from || r.batches.size() != 1)) {
            return misfit("a rollback without a release to go back to");
        }
        Deployment d;
        d.id = r.deployment;
        d.key = r.key;
        d.from = r.from;
        d.to = r.to;
        d.strategy = r.strategy;
        d.plan_id = r.plan_id;
        d.batches = r.batches;
        d.is_rollback = r.is_rollback;
        d.by = r.by;
        d.why = r.why;
        d.emergency = r.emergency;
        d.created_unix_ms = logged_.at_unix_ms;
        d.since_ms = log_.clock_ms;
        d.phase = r.is_rollback ? Phase::rolling_back : Phase::staging;
        for (std::uint32_t i = 0; i < r.batches.size(); ++i) {
            for (const auto& host : r.batches[i].hosts) {
                if (log_.hosts.contains(host)) {
                    auto& progress = d.hosts[host];
                    progress.batch = i;
                    progress.since_ms = log_.clock_ms;
                    progress.step = r.is_rollback ? HostStep::ready : HostStep::waiting;
                }
            }
        }
        auto& e = environment->second;
        e.active = r.deployment;
        ++log_.deployments_ever;
        if (r.is_rollback) {
            d.cause = "by hand: " + r.why;
            push_bounded(e.quarantined, r.to, quarantined_max);
            push_bounded(e.tried, r.to, tried_max);
            e.good = r.from;
            if (!e.earlier.empty()) {
                e.earlier.pop_back();
            }
        }
        for (const auto& [host, progress] : d.hosts) {
            touch(host, r.deployment);
        }
        log_.deployments.emplace(r.deployment, std::move(d));
        state_.seen.dirty.insert(r.deployment);
        return {};
    }
    Result<> operator()(const StagingEnded& r) {
        return on(r.deployment, {Phase::staging}, [&](Deployment& d) { enter(d, Phase::moving); });
    }
    Result<> operator()(const HostsOrdered& r) {
        const auto* d = find(r.deployment);
        if (d == nullptr || is_over(d->phase) || (r.back != (d->phase == Phase::rolling_back)) ||
            !all_known(*d, r.hosts)) {
            return misfit("its hosts cannot be ordered in this phase");
        }
        auto& changed = log_.deployments.at(r.deployment);
        for (const auto& host : r.hosts) {
            auto& progress = changed.hosts.at(host);
            progress.step = r.back ? HostStep::returning : HostStep::moving;
            progress.since_ms = log_.clock_ms;
            progress.why.clear();
            touch(host, r.deployment);
            progress.generation = log_.hosts.at(host).generation;
        }
        return {};
    }
    Result<> operator()(const HostsChanged& r) {
        const auto* d = find(r.deployment);
        if (d == nullptr || is_over(d->phase) ||
            !std::ranges::all_of(r.changes, [&](const HostChange& change) {
                return d->hosts.contains(change.host);
            })) {
            return misfit("its hosts are others");
        }
        auto& hosts = log_.deployments.at(r.deployment).hosts;
        for (const auto& change : r.changes) {
            auto& progress = hosts.at(change.host);
            progress.step = change.step;
            progress.since_ms = log_.clock_ms;
            progress.why = change.why;
        }
        return {};
    }
    Result<> operator()(const BatchReady& r) {
        return on(r.deployment, {Phase::moving}, [&](Deployment& d) { enter(d, Phase::baking); });
    }
    Result<> operator()(const GateAnswered& r) {
        return on(r.deployment, {Phase::moving, Phase::baking}, [&](Deployment& d) {
            d.gates[r.gate] = {r.verdict, r.why, r.by, log_.clock_ms};
        });
    }
    Result<> operator()(const BatchPassed& r) {
        return on(r.deployment, {Phase::baking}, [&](Deployment& d) { enter(d, Phase::pausing); });
    }
    Result<> operator()(const BatchBegan& r) {
        const auto* d = find(r.deployment);
        if (d == nullptr || d->batch + 1 != r.batch || r.batch >= d->batches.size()) {
            return misfit("there is no such batch next");
        }
        return on(r.deployment, {Phase::pausing}, [&](Deployment& changed) {
            changed.batch = r.batch;
            changed.gates.clear();
            enter(changed, Phase::moving);
        });
    }
    Result<> operator()(const Paused& r) {
        return on(r.deployment, forward(), [](Deployment& d) { d.paused = true; });
    }
    Result<> operator()(const Resumed& r) {
        return on(r.deployment, forward(), [](Deployment& d) { d.paused = false; });
    }
    Result<> operator()(const Promoted& r) {
        return on(r.deployment, forward(), [&](Deployment& d) {
            d.promoted = true;
            d.promoted_by = r.by;
        });
    }
    Result<> operator()(const RollbackBegan& r) {
        return on(r.deployment, forward(), [&](Deployment& d) {
            d.cause = r.cause;
            d.emergency = r.emergency;
            d.paused = false;
            enter(d, Phase::rolling_back);
            auto& environment = log_.environments.at(d.key);
            push_bounded(environment.tried, d.to, tried_max);
            if (r.quarantine) {
                push_bounded(environment.quarantined, d.to, quarantined_max);
            }
            for (const auto& [host, progress] : d.hosts) {
                if (progress.step == HostStep::waiting) {
                    touch(host, d.id); // Its bytes need not be staged any more.
                }
            }
        });
    }
    Result<> operator()(const EmergencyDeclared& r) {
        return on(r.deployment, {Phase::rolling_back}, [](Deployment& d) { d.emergency = true; });
    }
    Result<> operator()(const DeploymentEnded& r) {
        const auto* d = find(r.deployment);
        if (d == nullptr || !is_over(r.phase) ||
            (r.phase == Phase::succeeded) != (d->phase == Phase::pausing)) {
            return misfit("it cannot end so in this phase");
        }
        return on(r.deployment, {Phase::pausing, Phase::rolling_back}, [&](Deployment& ended) {
            enter(ended, r.phase);
            ended.ended_unix_ms = logged_.at_unix_ms;
            auto& environment = log_.environments.at(ended.key);
            environment.active.clear();
            if (r.phase == Phase::succeeded) {
                if (environment.good) {
                    push_bounded(environment.earlier, *environment.good, earlier_max);
                }
                environment.good = ended.to;
                std::erase_if(environment.quarantined, [&](const Release& release) {
                    return same_bytes(release, ended.to); // A retry that went well.
                });
            }
            const auto key = ended.key;
            for (const auto& host : update_memberships(log_, key.service)) {
                touch(host, r.deployment);
            }
            touch_members(key, r.deployment);
            forget_old();
        });
    }

private:
    static std::vector<Phase> forward() {
        return {Phase::staging, Phase::moving, Phase::baking, Phase::pausing};
    }
    [[nodiscard]] tl::unexpected<Error> misfit(const std::string& why) const {
        return fail(Errc::verification_failed,
                    "the log's record " + std::string(kind_of(logged_.record)) + " " +
                        deployment_of(logged_.record) + " does not fit: " + why);
    }
    [[nodiscard]] const Deployment* find(const std::string& id) const {
        const auto found = log_.deployments.find(id);
        return found == log_.deployments.end() ? nullptr : &found->second;
    }
    [[nodiscard]] static bool all_known(const Deployment& d,
                                        const std::vector<std::string>& hosts) {
        return std::ranges::all_of(hosts, [&](const auto& host) { return d.hosts.contains(host); });
    }
    template <typename Change>
    Result<> on(const std::string& id, const std::vector<Phase>& phases, Change change) {
        const auto found = log_.deployments.find(id);
        if (found == log_.deployments.end() ||
            std::ranges::find(phases, found->second.phase) == phases.end()) {
            return misfit("it is in another phase");
        }
        state_.seen.dirty.insert(id);
        change(found->second);
        return {};
    }
    void enter(Deployment& d, Phase phase) {
        d.phase = phase;
        d.since_ms = log_.clock_ms;
    }
    void touch(const std::string& host, const std::string& deployment) {
        const auto found = log_.hosts.find(host);
        if (found != log_.hosts.end()) {
            ++found->second.generation;
            state_.seen.changed[host] = deployment;
        }
    }
    void touch_members(const EnvironmentKey& key, const std::string& deployment) {
        for (const auto& host : log_.members[key]) {
            touch(host, deployment);
        }
    }
    void look_at_all() {
        for (const auto& [key, environment] : log_.environments) {
            if (!environment.active.empty()) {
                state_.seen.dirty.insert(environment.active);
            }
        }
    }
    void forget_old() {
        std::size_t ended = 0;
        for (auto at = log_.deployments.rbegin(); at != log_.deployments.rend(); ++at) {
            ended += is_over(at->second.phase) ? 1U : 0U;
        }
        for (auto at = log_.deployments.begin();
             at != log_.deployments.end() && ended > ended_deployments_max;) {
            if (is_over(at->second.phase)) {
                at = log_.deployments.erase(at);
                --ended;
            } else {
                ++at;
            }
        }
    }

    FleetState& state_;
    Durable& log_;
    const Logged& logged_;
};

} // namespace

Result<> apply(FleetState& state, const Logged& logged) {
    const auto before = state.log.clock_ms;
    state.log.clock_ms = std::max(before, logged.clock_ms);
    auto applied = std::visit(Applier(state, logged), logged.record);
    if (!applied) {
        state.log.clock_ms = before;
    }
    return applied;
}

} // namespace slipway::orchestrator
