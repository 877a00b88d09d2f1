#include <algorithm>

#include "common/core/errc.h"
#include "orchestrator/core/machine_internal.h"

namespace slipway::orchestrator {

const ServiceReport* report_of(const FleetState& state, const std::string& host,
                               const std::string& service) {
    const auto seen = state.seen.hosts.find(host);
    if (seen == state.seen.hosts.end()) {
        return nullptr;
    }
    const auto found = seen->second.report.services.find(service);
    return found == seen->second.report.services.end() ? nullptr : &found->second;
}

bool is_present(const FleetState& state, const std::string& host) {
    const auto seen = state.seen.hosts.find(host);
    return seen != state.seen.hosts.end() && seen->second.presence == Presence::present;
}

bool was_heard_of(const FleetState& state, const std::string& host) {
    const auto seen = state.seen.hosts.find(host);
    return seen != state.seen.hosts.end() && seen->second.presence != Presence::unknown;
}

bool has_obeyed(const FleetState& state, const HostProgress& part, const std::string& host) {
    const auto seen = state.seen.hosts.find(host);
    return seen != state.seen.hosts.end() && seen->second.report.epoch == state.log.epoch &&
           seen->second.report.generation >= part.generation;
}

bool runs(const ServiceReport* report, const Release& release) {
    return report != nullptr && report->running &&
           is_release(release, report->running->artifact, report->running->digest);
}

bool is_well(const FleetState& state, const Deployment& d, const std::string& host,
             const Release& release) {
    const auto* report = report_of(state, host, d.key.service);
    return is_present(state, host) && runs(report, release) && report->ready;
}

std::string failure_of(const FleetState& state, const Deployment& d, const std::string& host) {
    const auto* report = report_of(state, host, d.key.service);
    if (report == nullptr || !d.to.digest) {
        return {};
    }
    for (const auto& bad : report->bad) {
        if (bad.digest == *d.to.digest && bad.attempt >= d.to.attempt) {
            return bad.reason.empty() ? "the host says that it is bad" : bad.reason;
        }
    }
    return {};
}

bool has_staged(const FleetState& state, const Deployment& d, const std::string& host) {
    const auto* report = report_of(state, host, d.key.service);
    if (report == nullptr) {
        return false;
    }
    return runs(report, d.to) ||
           (d.to.digest && std::ranges::find(report->staged, *d.to.digest) != report->staged.end());
}

Release next_attempt(const Environment& environment, Release release, bool retry) {
    for (const auto* list : {&environment.tried, &environment.quarantined}) {
        for (const auto& tried : *list) {
            if (same_bytes(tried, release)) {
                release.attempt = std::max(release.attempt, tried.attempt + 1);
            }
        }
    }
    (void)retry;
    return release;
}

OrderHost order_of(const FleetState& state, const std::string& host) {
    OrderHost order;
    order.host = host;
    order.epoch = state.log.epoch;
    order.desired.epoch = state.log.epoch;
    const auto found = state.log.hosts.find(host);
    if (found == state.log.hosts.end()) {
        return order;
    }
    order.generation = found->second.generation;
    for (const auto& [service, name] : found->second.belongs) {
        const auto environment = state.log.environments.find({service, name});
        if (environment == state.log.environments.end()) {
            continue;
        }
        auto& desired = order.desired.services[service];
        desired.run = environment->second.good;
        const auto d = state.log.deployments.find(environment->second.active);
        if (d == state.log.deployments.end() || is_over(d->second.phase)) {
            continue;
        }
        const auto progress = d->second.hosts.find(host);
        if (progress == d->second.hosts.end()) {
            continue;
        }
        order.deployment = d->second.id;
        switch (progress->second.step) {
        case HostStep::waiting:
            desired.run = d->second.from;
            if (d->second.phase != Phase::rolling_back) {
                desired.stage.push_back(d->second.to);
            }
            break;
        case HostStep::moving:
        case HostStep::ready:
        case HostStep::failed:
            desired.run = d->second.to;
            break;
        default:
            desired.run = d->second.from;
        }
    }
    return order;
}

const Freeze* freeze_of(const FleetState& state, const EnvironmentKey& key) {
    for (const auto& [scope, freeze] : state.log.freezes) {
        if (covers(scope, key)) {
            return &freeze;
        }
    }
    return nullptr;
}

std::set<std::string> unavailable_hosts(const FleetState& state, const EnvironmentKey& key) {
    std::set<std::string> down;
    const auto members = state.log.members.find(key);
    const auto environment = state.log.environments.find(key);
    if (members == state.log.members.end() || environment == state.log.environments.end()) {
        return down;
    }
    const auto active = state.log.deployments.find(environment->second.active);
    for (const auto& host : members->second) {
        const auto* report = report_of(state, host, key.service);
        auto wanted = environment->second.good;
        bool is_down = !is_present(state, host);
        if (active != state.log.deployments.end()) {
            const auto progress = active->second.hosts.find(host);
            if (progress != active->second.hosts.end()) {
                const auto step = progress->second.step;
                is_down = is_down || step == HostStep::moving || step == HostStep::returning;
                wanted = step == HostStep::ready    ? active->second.to
                         : step == HostStep::failed ? std::nullopt // What it went back to counts.
                                                    : active->second.from;
            }
        }
        // A host that runs something else is about to be restarted, or was: it does not count yet.
        is_down = is_down || (report != nullptr && report->running && !report->ready) ||
                  (wanted && !runs(report, *wanted));
        if (is_down) {
            down.insert(host);
        }
    }
    return down;
}

Progress progress_of(const FleetState& state, const Deployment& deployment) {
    Progress progress;
    for (const auto& [host, part] : deployment.hosts) {
        ++progress.hosts[part.step];
        progress.staged +=
            part.step == HostStep::waiting && has_staged(state, deployment, host) ? 1U : 0U;
        progress.offline += is_present(state, host) ? 0U : 1U;
    }
    return progress;
}

Result<DeploymentPlan> plan_of(const FleetState& state, const Deploy& deploy) {
    const auto environment = state.log.environments.find(deploy.key);
    if (environment == state.log.environments.end()) {
        return fail(Errc::not_found, "there is no environment " + deploy.key.text() +
                                         "; an admin makes it: slipway environment " +
                                         deploy.key.service + " " + deploy.key.environment);
    }
    const auto& e = environment->second;
    Release to{deploy.artifact, deploy.digest, 0};
    const bool is_quarantined = std::ranges::any_of(
        e.quarantined, [&](const Release& release) { return same_bytes(release, to); });
    if (is_quarantined && !deploy.retry) {
        return fail(Errc::forbidden, to.artifact.text() +
                                         " is in quarantine: it was rolled back here; --retry "
                                         "deploys it again");
    }
    to = next_attempt(e, to, deploy.retry);
    PlanInput input{.key = deploy.key,
                    .from = e.good,
                    .to = to,
                    .strategy = deploy.strategy   ? *deploy.strategy
                                : e.spec.strategy ? *e.spec.strategy
                                                  : default_strategy(StrategyKind::canary),
                    .hosts = {}};
    const auto members = state.log.members.find(deploy.key);
    if (members != state.log.members.end()) {
        for (const auto& host : members->second) {
            input.hosts[host] = state.log.hosts.at(host).labels;
        }
    }
    auto plan = make_plan(input);
    if (plan && e.good && same_bytes(*e.good, to)) { // Hosts that lack it converge by themselves.
        plan->batches.clear();
    }
    if (plan && !deploy.check_plan.empty() && plan->id != deploy.check_plan) {
        return fail(Errc::changed, "the plan is " + plan->id + " by now, not " + deploy.check_plan +
                                       ": hosts, labels, strategy or release are others");
    }
    return plan;
}

} // namespace slipway::orchestrator
