// What a deployment does next.
#include <algorithm>

#include "common/core/errc.h"
#include "orchestrator/core/machine_internal.h"

namespace slipway::orchestrator {
namespace {

std::string counted(std::size_t count, const char* what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::uint32_t judges_of(const Deployment& d) {
    std::uint32_t judges = 0;
    for (const auto& batch : d.batches) {
        for (const auto index : batch.gates) {
            judges += d.strategy.gates.at(index).kind == GateKind::compare ? 1U : 0U;
        }
    }
    return std::max(judges, 1U);
}

bool was_ordered(HostStep step) {
    return step == HostStep::moving || step == HostStep::ready || step == HostStep::failed;
}

} // namespace

std::int64_t Step::since(const Deployment& d) const {
    return log_.clock_ms - d.since_ms;
}

void Step::advance(const std::string& id) {
    // Each turn does one thing and looks again: a batch whose hosts are all there may go on at
    // once.
    for (int turn = 0; turn < 16; ++turn) {
        auto* d = active(id);
        if (d == nullptr) {
            return;
        }
        const auto records = outcome_.records.size();
        if (d->phase == Phase::rolling_back) {
            go_back(*d);
        } else {
            look_at_hosts(*d);
            if (!has_failed(*d) && !d->paused) {
                switch (d->phase) {
                case Phase::staging:
                    stage(*d);
                    break;
                case Phase::moving:
                    move(*d);
                    break;
                case Phase::baking:
                    bake(*d);
                    break;
                default:
                    pause(*d);
                }
            }
        }
        if (outcome_.records.size() == records) {
            return;
        }
    }
}

void Step::stage(Deployment& d) {
    if (freeze_of(state_, d.key) != nullptr) {
        return;
    }
    std::vector<std::string> missing;
    bool is_waited_for = false;
    const bool is_late = since(d) >= d.strategy.stage_deadline.count();
    for (const auto& [host, part] : d.hosts) {
        if (!has_staged(state_, d, host)) {
            missing.push_back(host);
            // Who was not heard of since this orchestrator began is not offline yet.
            is_waited_for = is_waited_for || (is_present(state_, host) && !is_late) ||
                            !was_heard_of(state_, host);
        }
    }
    if (missing.empty() || !d.strategy.stage_first) {
        return emit(StagingEnded{d.id, {}, ""});
    }
    if (!is_waited_for && missing.size() < d.hosts.size() &&
        missing.size() <= d.strategy.offline_budget.at_most_of(d.hosts.size())) {
        emit(StagingEnded{d.id, missing, ""});
    }
}

// How long a host has had to do what it was ordered: the time that it was away does not count.
std::int64_t Step::waits_since(const HostProgress& part, const std::string& host) const {
    const auto seen = seen_.hosts.find(host);
    const auto back = seen == seen_.hosts.end() ? log_.clock_ms : seen->second.back_ms;
    return log_.clock_ms - std::max(part.since_ms, back);
}

void Step::look_at_hosts(Deployment& d) {
    std::vector<HostChange> changes;
    for (const auto& [host, part] : d.hosts) {
        if (part.step != HostStep::moving && part.step != HostStep::ready) {
            continue;
        }
        if (auto why = failure_of(state_, d, host); !why.empty()) {
            changes.push_back({host, HostStep::failed, why});
            continue;
        }
        const bool is_fine = is_well(state_, d, host, d.to);
        if (part.step == HostStep::moving) {
            if (is_fine && has_obeyed(state_, part, host)) {
                changes.push_back({host, HostStep::ready, ""});
                seen_.hosts[host].watches.erase(d.id);
            } else if (is_present(state_, host) &&
                       waits_since(part, host) >= d.strategy.ready_deadline.count()) {
                changes.push_back({host, HostStep::failed, "it was not ready in time"});
            }
            continue;
        }
        auto& watch = seen_.hosts[host].watches[d.id];
        if (is_fine || !is_present(state_, host)) {
            watch.unready_since_ms = -1;
        } else if (watch.unready_since_ms < 0) {
            watch.unready_since_ms = log_.clock_ms;
            ++watch.strikes;
        }
        if (watch.strikes > d.strategy.max_crashes) {
            changes.push_back({host, HostStep::failed,
                               counted(watch.strikes, "crash or restart") + " since it was ready"});
        } else if (watch.unready_since_ms >= 0 &&
                   log_.clock_ms - watch.unready_since_ms >= d.strategy.unready_grace.count()) {
            changes.push_back({host, HostStep::failed, "it is not ready any more"});
        }
    }
    if (!changes.empty()) {
        emit(HostsChanged{d.id, std::move(changes)});
    }
}

bool Step::has_failed(Deployment& d) {
    std::size_t touched = 0;
    std::size_t failed = 0;
    std::string why;
    for (const auto& [host, part] : d.hosts) {
        touched += was_ordered(part.step) ? 1U : 0U;
        if (part.step == HostStep::failed) {
            ++failed;
            why = host + ": " + part.why;
        }
    }
    if (failed > d.strategy.max_failed.at_most_of(touched)) {
        roll_back(d,
                  std::to_string(failed) + " of " + counted(touched, "moved host") +
                      " failed, more than " + d.strategy.max_failed.text() + "; " + why,
                  "", true, false);
        return true;
    }
    for (const auto& [name, gate] : d.gates) {
        if (gate.verdict == GateVerdict::fail) {
            roll_back(d, "gate " + name + ": " + gate.why, gate.by, gate.by.empty(), false);
            return true;
        }
    }
    return false;
}

std::vector<std::string>
Step::within_budget(const Deployment& d, const std::vector<std::string>& hosts, bool everything) {
    if (everything) {
        return hosts;
    }
    const auto down = unavailable_hosts(state_, d.key);
    const auto& members = log_.members[d.key];
    std::map<std::string, std::size_t> in_domain;
    std::map<std::string, std::size_t> down_in;
    const auto domain_of = [&](const std::string& host) {
        const auto found = log_.hosts.find(host);
        return found == log_.hosts.end() ? std::string()
                                         : label_of(found->second.labels, d.strategy.domain);
    };
    for (const auto& host : members) {
        ++in_domain[domain_of(host)];
        down_in[domain_of(host)] += down.contains(host) ? 1U : 0U;
    }
    const auto budget = d.strategy.max_unavailable.budget_of(members.size());
    auto all_down = down.size();
    std::vector<std::string> chosen;
    for (const auto& host : hosts) {
        const auto domain = domain_of(host);
        // A host that is down already costs nothing more.
        const std::size_t cost = down.contains(host) ? 0 : 1;
        const auto domain_budget =
            d.strategy.max_unavailable_per_domain.budget_of(in_domain[domain]);
        if (cost > 0 && (all_down + cost > budget || down_in[domain] + cost > domain_budget)) {
            continue;
        }
        all_down += cost;
        down_in[domain] += cost;
        chosen.push_back(host);
    }
    return chosen;
}

// Where the hosts of this batch and those before stand.
Step::Turn Step::turn_of(const Deployment& d) const {
    Turn turn;
    const bool needs_bytes = d.strategy.stage_first;
    for (std::uint32_t batch = 0; batch <= d.batch && batch < d.batches.size(); ++batch) {
        for (const auto& host : d.batches[batch].hosts) { // In the plan's order.
            const auto found = d.hosts.find(host);
            if (found == d.hosts.end()) {
                continue; // It was forgotten.
            }
            const auto& part = found->second;
            const bool is_here = is_present(state_, host);
            const bool is_gone = !is_here && was_heard_of(state_, host);
            ++turn.hosts;
            turn.touched += was_ordered(part.step) ? 1U : 0U;
            turn.ready += part.step == HostStep::ready && is_here ? 1U : 0U;
            if (part.step == HostStep::waiting) {
                const bool can_move = is_here && (!needs_bytes || has_staged(state_, d, host));
                can_move ? turn.candidates.push_back(host) : void();
                turn.absent += !can_move && (is_here || is_gone) ? 1U : 0U;
                turn.open += is_here || is_gone ? 0U : 1U;
            } else if (part.step == HostStep::moving) {
                turn.open += is_gone ? 0U : 1U;
                turn.vanished += is_gone ? 1U : 0U;
            } else if (part.step == HostStep::ready) {
                turn.vanished += is_gone ? 1U : 0U;
                turn.open += is_gone || is_well(state_, d, host, d.to) ? 0U : 1U;
            }
        }
    }
    return turn;
}

// Why the batch cannot go on though nothing of it is under way; empty if it can.
std::string Step::shortage_of(const Deployment& d, const Turn& turn) {
    // Without a host that runs the release there is no evidence, and hosts that vanished after they
    // got it may have done so because of it: of them fewer are gone on without.
    if (turn.ready == 0 && turn.hosts > 0) {
        return "no host that runs the release is there";
    }
    if (turn.vanished > d.strategy.offline_budget.at_most_of(turn.touched)) {
        return counted(turn.vanished, "host") + " went offline with the release";
    }
    if (turn.absent > d.strategy.offline_budget.at_most_of(d.hosts.size())) {
        return counted(turn.absent, "host") + " are offline, or have not staged";
    }
    return {};
}

bool Step::order(Deployment& d, const Turn& turn) {
    if (turn.candidates.empty() || freeze_of(state_, d.key) != nullptr) {
        return false;
    }
    auto chosen = within_budget(d, turn.candidates, false);
    if (chosen.empty()) {
        return false;
    }
    emit(HostsOrdered{d.id, std::move(chosen), false});
    return true;
}

void Step::move(Deployment& d) {
    const auto turn = turn_of(d);
    if (order(d, turn)) {
        return;
    }
    ask_gates(d);
    if (turn.candidates.empty() && turn.open == 0 && shortage_of(d, turn).empty()) {
        emit(BatchReady{d.id, d.batch});
    }
}

bool Step::bake_is_over(const Deployment& d) const {
    return d.phase == Phase::baking &&
           (d.promoted || since(d) >= d.strategy.bake_of(d.batches.at(d.batch).step).count());
}

// Limits are asked as long as hosts of the batch run the release, comparisons while they bake, and
// webhooks when all else is done.
void Step::ask_gates(Deployment& d) {
    for (const auto index : d.batches.at(d.batch).gates) {
        const auto& gate = d.strategy.gates.at(index);
        const auto state = d.gates.find(gate.name);
        const bool is_decided =
            state != d.gates.end() && state->second.verdict == GateVerdict::pass;
        const bool is_time = gate.kind == GateKind::metric ||
                             (gate.kind == GateKind::compare && d.phase == Phase::baking) ||
                             (gate.kind == GateKind::webhook && bake_is_over(d));
        if (!is_decided && is_time && !d.promoted) {
            ask(d, gate);
        }
    }
}

void Step::ask(Deployment& d, const GateSpec& gate) {
    constexpr std::int64_t answer_due_ms = 60'000;
    auto& asked = seen_.asked[d.id][gate.name];
    const auto gone = log_.clock_ms - asked.at_ms;
    const auto bake_end = d.since_ms + d.strategy.bake_of(d.batches.at(d.batch).step).count();
    // What was asked before the bake ended decides nothing, so ask again as soon as it has.
    const bool is_final = bake_is_over(d) && asked.at_ms < bake_end;
    const bool is_due = asked.number == 0 || asked.batch != d.batch ||
                        (asked.answered ? is_final || gone >= gate.interval.count()
                                        : gone >= std::max(gate.interval.count(), answer_due_ms));
    if (!is_due) {
        return;
    }
    asked = {++seen_.asks, log_.clock_ms, d.batch, false, bake_is_over(d), {}};
    const auto& batch = d.batches.at(d.batch);
    outcome_.commands.push_back(
        AskGate{d.id, d.key, d.batch, asked.number, gate, batch.canary, batch.baseline,
                Milliseconds{d.phase == Phase::baking ? since(d) : 0}, judges_of(d)});
}

void Step::bake(Deployment& d) {
    const auto turn = turn_of(d);
    if (order(d, turn)) { // Hosts that came back.
        return;
    }
    ask_gates(d);
    const bool all_pass =
        d.promoted ||
        std::ranges::all_of(d.batches.at(d.batch).gates, [&](const std::uint32_t index) {
            const auto state = d.gates.find(d.strategy.gates.at(index).name);
            return state != d.gates.end() && state->second.verdict == GateVerdict::pass;
        });
    if (all_pass && bake_is_over(d) && turn.candidates.empty() && turn.open == 0 &&
        shortage_of(d, turn).empty() && freeze_of(state_, d.key) == nullptr) {
        pass(d, d.promoted ? promoter_of(d) : "");
    }
}

std::string Step::promoter_of(const Deployment& d) {
    return d.promoted_by.empty() ? d.by : d.promoted_by;
}

void Step::pass(Deployment& d, const std::string& by) {
    std::vector<Evidence> evidence;
    const auto progress = progress_of(state_, d);
    const auto ready = progress.hosts.find(HostStep::ready);
    evidence.push_back({"ready", GateVerdict::pass,
                        counted(ready == progress.hosts.end() ? 0 : ready->second, "host") +
                            " ready, none beyond its crashes"});
    evidence.push_back({"bake", by.empty() ? GateVerdict::pass : GateVerdict::hold,
                        "baked " + std::to_string(since(d)) + " ms"});
    for (const auto index : d.batches.at(d.batch).gates) {
        const auto& gate = d.strategy.gates.at(index);
        const auto state = d.gates.find(gate.name);
        evidence.push_back({gate.name,
                            state == d.gates.end() ? GateVerdict::hold : state->second.verdict,
                            state == d.gates.end() ? "no answer" : state->second.why});
    }
    emit(BatchPassed{d.id, d.batch, std::move(evidence), by});
}

void Step::pause(Deployment& d) {
    if (!d.promoted && since(d) < d.strategy.pause.count()) {
        return;
    }
    if (freeze_of(state_, d.key) != nullptr) {
        return;
    }
    if (d.batch + 1 < d.batches.size()) {
        return emit(BatchBegan{d.id, d.batch + 1});
    }
    const auto progress = progress_of(state_, d);
    const auto ready = progress.hosts.find(HostStep::ready);
    const auto text = counted(ready == progress.hosts.end() ? 0 : ready->second, "host") + " of " +
                      std::to_string(d.hosts.size()) + " run " + d.to.artifact.text();
    const auto id = d.id;
    emit(DeploymentEnded{id, Phase::succeeded, text});
    notify(log_.deployments.at(id), "deployment.succeeded", text);
}

void Step::roll_back(Deployment& d, const std::string& cause, std::string by, bool quarantine,
                     bool emergency) {
    const auto id = d.id;
    emit(RollbackBegan{id, cause, std::move(by), quarantine, emergency});
    notify(log_.deployments.at(id), "deployment.rolling_back", cause);
    if (auto* going = active(id)) {
        go_back(*going);
    }
}

void Step::go_back(Deployment& d) {
    if (!d.from) {
        const auto id = d.id;
        const bool was_touched = std::ranges::any_of(
            d.hosts, [](const auto& entry) { return entry.second.step != HostStep::waiting; });
        const std::string text =
            was_touched ? "there is no last-known-good to go back to" : "no host was touched";
        emit(DeploymentEnded{id, was_touched ? Phase::failed : Phase::rolled_back, text});
        return notify(log_.deployments.at(id), "deployment.failed", text);
    }
    std::vector<HostChange> changes;
    std::vector<std::string> candidates;
    std::size_t open = 0;
    for (const auto& [host, part] : d.hosts) {
        if (was_ordered(part.step)) { // One that is offline gets the order when it is back.
            candidates.push_back(host);
        } else if (part.step == HostStep::returning || part.step == HostStep::stuck) {
            const bool is_stuck = part.step == HostStep::stuck;
            if (has_obeyed(state_, part, host) && is_well(state_, d, host, *d.from)) {
                changes.push_back({host, HostStep::returned, ""});
            } else if (is_present(state_, host) && !is_stuck &&
                       waits_since(part, host) >= d.strategy.ready_deadline.count()) {
                changes.push_back({host, HostStep::stuck, "it was not ready in time"});
            } else if (!is_stuck && (is_present(state_, host) || !was_heard_of(state_, host))) {
                ++open;
            }
        }
    }
    const auto id = d.id;
    if (!changes.empty()) {
        return emit(HostsChanged{id, std::move(changes)});
    }
    if (!candidates.empty()) {
        // Those that failed are down already and go first.
        if (auto chosen = within_budget(d, candidates, d.emergency); !chosen.empty()) {
            emit(HostsOrdered{id, std::move(chosen), true});
        }
        return; // What may not be taken down yet waits for those that are under way.
    }
    if (open == 0) {
        const auto text = d.from->artifact.text() + " runs again";
        emit(DeploymentEnded{id, Phase::rolled_back, text});
        notify(log_.deployments.at(id), "deployment.rolled_back", d.cause);
    }
}

} // namespace slipway::orchestrator
