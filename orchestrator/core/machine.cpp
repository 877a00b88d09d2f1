#include "orchestrator/core/machine.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "orchestrator/core/machine_internal.h"

namespace slipway::orchestrator {
namespace {

constexpr std::int64_t clock_kept_each_ms = 10'000;

/// What a host says that makes a deployment fail is acted on at once; the rest waits for the tick.
bool is_bad_news(const HostReport& before, const HostReport& report, const std::string& service) {
    const auto now = report.services.find(service);
    const auto then = before.services.find(service);
    if (now == report.services.end()) {
        return false;
    }
    if (then == before.services.end()) {
        return !now->second.bad.empty();
    }
    return now->second.bad != then->second.bad || now->second.crashes != then->second.crashes ||
           now->second.restarts != then->second.restarts;
}

} // namespace

Step::Step(FleetState& state, Instant now)
    : state_(state), log_(state.log), seen_(state.seen), now_(now) {
    if (seen_.steady_ms >= 0) {
        log_.clock_ms +=
            std::clamp<std::int64_t>(now.steady_ms - seen_.steady_ms, 0, watch_gap_max.count());
    }
    seen_.steady_ms = std::max(seen_.steady_ms, now.steady_ms);
}

void Step::emit(Record record) {
    Logged logged{std::move(record), now_.unix_ms, log_.clock_ms};
    if (const auto applied = apply(state_, logged); applied) {
        seen_.kept_clock_ms = log_.clock_ms;
        outcome_.records.push_back(std::move(logged));
    } else {
        outcome_.answer = tl::unexpected(applied.error());
    }
}

void Step::refuse(std::error_code code, std::string why) {
    outcome_.answer = fail(code, std::move(why));
}

void Step::notify(const Deployment& deployment, const std::string& kind, const std::string& text) {
    const nlohmann::json body = {{"version", 1},
                                 {"kind", kind},
                                 {"deployment", deployment.id},
                                 {"service", deployment.key.service},
                                 {"environment", deployment.key.environment},
                                 {"artifact", deployment.to.artifact.text()},
                                 {"text", text}};
    outcome_.commands.push_back(Notify{kind, deployment.id, body.dump()});
}

Deployment* Step::active(const std::string& id) {
    const auto found = log_.deployments.find(id);
    return found == log_.deployments.end() || is_over(found->second.phase) ? nullptr
                                                                           : &found->second;
}

Deployment* Step::forward(const std::string& id) {
    if (!log_.deployments.contains(id)) {
        refuse(Errc::not_found, "there is no deployment '" + id + "'");
        return nullptr;
    }
    auto* d = active(id);
    if (d == nullptr || d->phase == Phase::rolling_back) {
        refuse(Errc::busy,
               "deployment " + id + " is " + std::string(to_string(log_.deployments.at(id).phase)));
        return nullptr;
    }
    return d;
}

Outcome Step::finish() {
    for (const auto& [host, deployment] : seen_.changed) {
        auto order = order_of(state_, host);
        order.deployment = deployment;
        outcome_.commands.push_back(std::move(order));
    }
    seen_.changed.clear();
    return std::move(outcome_);
}

void Step::operator()(const Started& event) {
    emit(EpochBegan{event.epoch, event.holder});
    if (outcome_.answer) {
        for (const auto& [host, entry] : log_.hosts) {
            seen_.changed.emplace(host, ""); // Every order bears the new epoch.
        }
    }
}

void Step::operator()(const Tick&) {
    std::vector<std::string> ids;
    for (const auto& [key, environment] : log_.environments) {
        if (!environment.active.empty()) {
            ids.push_back(environment.active);
        }
    }
    for (const auto& id : ids) {
        advance(id);
    }
    if (!ids.empty() && log_.clock_ms - seen_.kept_clock_ms >= clock_kept_each_ms) {
        emit(ClockKept{});
    }
}

void Step::operator()(const HostReport& event) {
    const auto known = log_.hosts.find(event.host);
    if (known == log_.hosts.end() && log_.hosts.size() >= fleet_hosts_max) {
        return refuse(Errc::failed, "there are too many hosts");
    }
    if (known == log_.hosts.end() || known->second.labels != event.labels) {
        emit(HostSeen{event.host, event.labels});
    }
    auto& host = seen_.hosts[event.host];
    const auto before = std::move(host.report);
    if (host.presence != Presence::present) {
        host.back_ms = log_.clock_ms;
    }
    host.presence = Presence::present;
    host.report = event;
    if (event.epoch > log_.epoch) {
        // A newer orchestrator drives this host; what it says is no answer to this one's orders.
        host.presence = Presence::unknown;
        return;
    }
    for (const auto& [service, environment] : log_.hosts.at(event.host).belongs) {
        const auto id = log_.environments.at({service, environment}).active;
        auto* d = active(id);
        if (d == nullptr) {
            continue;
        }
        const auto part = d->hosts.find(event.host);
        const auto* report = report_of(state_, event.host, service);
        if (part != d->hosts.end() && part->second.step == HostStep::ready && report != nullptr) {
            auto& watch = host.watches[id];
            if (watch.boot == event.boot) {
                watch.strikes +=
                    report->crashes > watch.crashes ? report->crashes - watch.crashes : 0;
                watch.strikes +=
                    report->restarts > watch.restarts ? report->restarts - watch.restarts : 0;
            }
            watch.boot = event.boot;
            watch.crashes = report->crashes;
            watch.restarts = report->restarts;
        }
        if (is_bad_news(before, event, service)) {
            advance(id);
        }
    }
}

void Step::operator()(const HostLost& event) {
    if (const auto host = seen_.hosts.find(event.host); host != seen_.hosts.end()) {
        host->second.presence = Presence::lost;
    } else if (log_.hosts.contains(event.host)) {
        seen_.hosts[event.host].presence = Presence::lost;
    }
}

void Step::operator()(const GateSaid& event) {
    auto* d = active(event.deployment);
    if (d == nullptr || d->batch != event.batch) {
        return;
    }
    auto& asked = seen_.asked[event.deployment][event.gate];
    if (asked.number != event.number) {
        return;
    }
    if (asked.answered || asked.batch != d->batch ||
        (d->phase != Phase::moving && d->phase != Phase::baking)) {
        return;
    }
    asked.answered = true;
    asked.answer = event.answer;
    const auto verdict = event.answer.verdict;
    if (verdict == GateVerdict::pass && !asked.is_final) {
        return; // It passed so far; it must also when the bake is over.
    }
    const auto known = d->gates.find(event.gate);
    if (known == d->gates.end() || known->second.verdict != verdict) {
        emit(
            GateAnswered{event.deployment, event.batch, event.gate, verdict, event.answer.why, ""});
        advance(event.deployment);
    }
}

void Step::operator()(const Deploy& event) {
    const auto plan = plan_of(state_, event);
    if (!plan) {
        return refuse(plan.error().code, plan.error().context);
    }
    const auto& environment = log_.environments.at(event.key);
    if (!environment.active.empty()) {
        return refuse(Errc::busy,
                      "deployment " + environment.active + " goes on in " + event.key.text());
    }
    if (const auto* freeze = freeze_of(state_, event.key)) {
        return refuse(Errc::forbidden, event.key.text() + " is frozen (" + freeze->scope + ") by " +
                                           freeze->by + ": " + freeze->why);
    }
    if (plan->batches.empty()) {
        return;
    }
    char id[24];
    std::snprintf(id, sizeof id, "d%06llu",
                  static_cast<unsigned long long>(log_.deployments_ever) + 1);
    emit(DeploymentCreated{id, event.key, plan->from, plan->to, plan->strategy, plan->id,
                           plan->batches, false, false, event.by, event.why});
    if (outcome_.answer) {
        outcome_.answer = id;
        notify(log_.deployments.at(id), "deployment.created", event.by + ": " + event.why);
    }
}

void Step::operator()(const Pause& event) {
    if (auto* d = forward(event.deployment); d != nullptr && !d->paused) {
        emit(Paused{event.deployment, event.by, event.why});
        notify(*d, "deployment.paused", event.by + ": " + event.why);
    }
}

void Step::operator()(const Resume& event) {
    if (auto* d = forward(event.deployment); d != nullptr && d->paused) {
        emit(Resumed{event.deployment, event.by, event.why});
        advance(event.deployment);
    }
}

void Step::operator()(const Promote& event) {
    auto* d = forward(event.deployment);
    if (d == nullptr) {
        return;
    }
    if (const auto* freeze = freeze_of(state_, d->key)) {
        return refuse(Errc::forbidden,
                      d->key.text() + " is frozen by " + freeze->by + ": " + freeze->why);
    }
    if (d->paused) {
        return refuse(Errc::busy, "deployment " + d->id + " is paused: resume it first");
    }
    if (event.full && !d->promoted) {
        emit(Promoted{event.deployment, event.by, event.why});
    }
    if (d->phase == Phase::staging) {
        emit(StagingEnded{event.deployment, {}, event.by});
    } else if (d->phase == Phase::moving) {
        const auto turn = turn_of(*d);
        if (turn.open == 0 && turn.candidates.empty()) {
            emit(BatchReady{event.deployment, d->batch});
            pass(*d, event.by);
        } else if (!event.full) {
            return refuse(Errc::busy, "hosts of the batch are on their way: wait for them");
        }
    } else if (d->phase == Phase::baking) {
        pass(*d, event.by);
    }
    advance(event.deployment);
}

void Step::operator()(const Abort& event) {
    if (auto* d = forward(event.deployment)) {
        roll_back(*d, "aborted by " + event.by + ": " + event.why, event.by, false, false);
    }
}

void Step::operator()(const Approve& event) {
    auto* d = forward(event.deployment);
    if (d == nullptr) {
        return;
    }
    std::string gate = event.gate;
    std::size_t open = 0;
    for (const auto index : d->batches.at(d->batch).gates) {
        const auto& spec = d->strategy.gates.at(index);
        const auto state = d->gates.find(spec.name);
        const bool is_open =
            spec.kind == GateKind::approval &&
            (state == d->gates.end() || state->second.verdict == GateVerdict::hold);
        if (is_open && (event.gate.empty() || event.gate == spec.name)) {
            gate = spec.name;
            ++open;
        }
    }
    if (open != 1) {
        return refuse(open == 0 ? Errc::not_found : Errc::usage,
                      open == 0 ? "no gate of deployment " + d->id + " waits for approval"
                                : "several gates wait: name one");
    }
    emit(GateAnswered{d->id, d->batch, gate, event.approved ? GateVerdict::pass : GateVerdict::fail,
                      event.why.empty() ? "by " + event.by : event.why, event.by});
    advance(event.deployment);
}

void Step::operator()(const RollBack& event) {
    const auto environment = log_.environments.find(event.key);
    if (environment == log_.environments.end()) {
        return refuse(Errc::not_found, "there is no environment " + event.key.text());
    }
    if (auto* d = active(environment->second.active)) {
        const auto id = d->id;
        if (d->phase != Phase::rolling_back) {
            roll_back(*d, "by hand, " + event.by + ": " + event.why, event.by, true,
                      event.emergency);
        } else if (event.emergency && !d->emergency) {
            emit(EmergencyDeclared{id, event.by, event.why});
            advance(id);
        }
        if (outcome_.answer) {
            outcome_.answer = id;
        }
        return;
    }
    const auto& e = environment->second;
    if (!e.good || e.earlier.empty()) {
        return refuse(Errc::not_found, event.key.text() + " has no release before the present one");
    }
    Deploy deploy{event.key, e.earlier.back().artifact, e.earlier.back().digest, {}, {}, true, {},
                  {}};
    auto plan = plan_of(state_, deploy);
    if (!plan) {
        return refuse(plan.error().code, plan.error().context);
    }
    Batch all;
    if (const auto members = log_.members.find(event.key); members != log_.members.end()) {
        all.hosts.assign(members->second.begin(), members->second.end());
    }
    char id[24];
    std::snprintf(id, sizeof id, "d%06llu",
                  static_cast<unsigned long long>(log_.deployments_ever) + 1);
    emit(DeploymentCreated{id,
                           event.key,
                           e.earlier.back(),
                           *e.good,
                           plan->strategy,
                           plan->id,
                           {all},
                           true,
                           event.emergency,
                           event.by,
                           event.why});
    if (outcome_.answer) {
        outcome_.answer = id;
        notify(log_.deployments.at(id), "deployment.rolling_back", event.by + ": " + event.why);
        advance(id);
    }
}

void Step::operator()(const PutFreeze& event) {
    if (const auto checked = check_freeze_scope(event.scope); !checked) {
        return refuse(checked.error().code, checked.error().context);
    }
    emit(FreezePut{event.scope, event.by, event.why});
}

void Step::operator()(const RemoveFreeze& event) {
    if (!log_.freezes.contains(event.scope)) {
        return refuse(Errc::not_found, "'" + event.scope + "' is not frozen");
    }
    emit(FreezeRemoved{event.scope, event.by});
}

void Step::operator()(const PutEnvironment& event) {
    const auto name = parse_environment_name(event.key.environment);
    const auto service = parse_service_name(event.key.service);
    if (!name || !service) {
        const auto& error = name ? service.error() : name.error();
        return refuse(error.code, error.context);
    }
    const auto known = log_.environments.find(event.key);
    if (known != log_.environments.end() && !known->second.active.empty()) {
        return refuse(Errc::busy,
                      "deployment " + known->second.active + " goes on in " + event.key.text());
    }
    emit(EnvironmentPut{event.key, event.spec, event.good, event.by});
}

void Step::operator()(const ForgetHost& event) {
    if (!log_.hosts.contains(event.host)) {
        return refuse(Errc::not_found, "there is no host '" + event.host + "'");
    }
    if (is_present(state_, event.host)) {
        return refuse(Errc::busy, "the host '" + event.host + "' is there");
    }
    emit(HostForgotten{event.host, event.by});
}

Outcome step(FleetState& state, const Event& event, Instant now) {
    Step one(state, now);
    std::visit(one, event);
    return one.finish();
}

} // namespace slipway::orchestrator
