// What a deployment does next.
#include <algorithm>

#include "common/core/errc.h"
#include "orchestrator/core/machine_internal.h"

namespace slipway::orchestrator {
namespace {

std::string counted(std::size_t count, const char* what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
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
    std::vector<std::string> missing;
    bool waits_for_present = false;
    for (const auto& [host, part] : d.hosts) {
        if (!has_staged(state_, d, host)) {
            missing.push_back(host);
            waits_for_present = waits_for_present || is_present(state_, host);
        }
    }
    if (missing.empty() || !d.strategy.stage_first) {
        return emit(StagingEnded{d.id, {}, ""});
    }
    const bool is_late = since(d) >= d.strategy.stage_deadline.count();
    const bool is_affordable =
        missing.size() <= d.strategy.offline_budget.at_most_of(d.hosts.size());
    if (is_affordable && (is_late || !waits_for_present)) {
        return emit(StagingEnded{d.id, missing, ""});
    }
    if (is_late && waits_for_present) {
        roll_back(d, counted(missing.size(), "host") + " did not stage the release in time", "",
                  false, false);
    }
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
            if (is_fine) {
                changes.push_back({host, HostStep::ready, ""});
                seen_.hosts[host].watches.erase(d.id);
            } else if (is_present(state_, host) &&
                       log_.clock_ms - part.since_ms >= d.strategy.ready_deadline.count()) {
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

void Step::move(Deployment& d) {
    std::vector<std::string> candidates;
    std::size_t moving = 0;
    std::size_t offline = 0;
    for (const auto& [host, part] : d.hosts) {
        if (part.batch > d.batch) {
            continue;
        }
        moving += part.step == HostStep::moving && is_present(state_, host) ? 1U : 0U;
        offline += part.step == HostStep::waiting && !is_present(state_, host) ? 1U : 0U;
        offline += part.step == HostStep::moving && !is_present(state_, host) ? 1U : 0U;
    }
    // In the plan's order, batch by batch.
    for (std::uint32_t batch = 0; batch <= d.batch && batch < d.batches.size(); ++batch) {
        for (const auto& host : d.batches[batch].hosts) {
            const auto part = d.hosts.find(host);
            if (part != d.hosts.end() && part->second.step == HostStep::waiting &&
                is_present(state_, host)) {
                candidates.push_back(host);
            }
        }
    }
    if (!candidates.empty()) {
        if (freeze_of(state_, d.key) == nullptr) {
            if (auto chosen = within_budget(d, candidates, false); !chosen.empty()) {
                emit(HostsOrdered{d.id, std::move(chosen), false});
            }
        }
        return;
    }
    const auto affordable = d.strategy.offline_budget.at_most_of(d.hosts.size());
    if (moving == 0 && offline <= affordable) {
        emit(BatchReady{d.id, d.batch});
    }
}

void Step::ask(Deployment& d, const GateSpec& gate) {
    if (gate.kind == GateKind::approval) {
        return;
    }
    auto& asked = seen_.asked[d.id][gate.name];
    const bool is_same = asked.batch == d.batch && asked.number != 0;
    if (is_same && log_.clock_ms - asked.at_ms < gate.interval.count()) {
        return;
    }
    asked = {++seen_.asks, log_.clock_ms, d.batch, false, {}};
    const auto& batch = d.batches.at(d.batch);
    outcome_.commands.push_back(AskGate{d.id, d.key, d.batch, asked.number, gate, batch.canary,
                                        batch.baseline, Milliseconds{since(d)}});
}

void Step::bake(Deployment& d) {
    if (d.promoted) {
        return pass(d, d.by);
    }
    bool all_pass = true;
    for (const auto index : d.batches.at(d.batch).gates) {
        const auto& gate = d.strategy.gates.at(index);
        const auto state = d.gates.find(gate.name);
        if (state == d.gates.end() || state->second.verdict != GateVerdict::pass) {
            all_pass = false;
            ask(d, gate);
        }
    }
    const auto& batch = d.batches.at(d.batch);
    if (all_pass && since(d) >= d.strategy.bake_of(batch.step).count()) {
        pass(d, "");
    }
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
    if (d.batch + 1 < d.batches.size()) {
        if (freeze_of(state_, d.key) == nullptr) {
            emit(BatchBegan{d.id, d.batch + 1});
        }
        return;
    }
    const auto progress = progress_of(state_, d);
    const auto ready = progress.hosts.find(HostStep::ready);
    const auto text = counted(ready == progress.hosts.end() ? 0 : ready->second, "host") + " of " +
                      std::to_string(d.hosts.size()) + " run " + d.to.artifact.text();
    const auto id = d.id;
    emit(DeploymentEnded{id, Phase::succeeded, text});
    notify(log_.deployments.at(id), "deployment.succeeded", text);
}

void Step::roll_back(Deployment& d, std::string cause, std::string by, bool quarantine,
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
        if (was_ordered(part.step)) {
            is_present(state_, host) ? candidates.push_back(host) : void();
        } else if (part.step == HostStep::returning) {
            if (is_well(state_, d, host, *d.from)) {
                changes.push_back({host, HostStep::returned, ""});
            } else if (is_present(state_, host)) {
                if (log_.clock_ms - part.since_ms >= d.strategy.ready_deadline.count()) {
                    changes.push_back({host, HostStep::stuck, "it was not ready in time"});
                } else {
                    ++open;
                }
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
        return;
    }
    if (open == 0) {
        const auto text = d.from->artifact.text() + " runs again";
        emit(DeploymentEnded{id, Phase::rolled_back, text});
        notify(log_.deployments.at(id), "deployment.rolled_back", d.cause);
    }
}

Result<Waiting> waiting_for(const FleetState& state, const std::string& id) {
    const auto found = state.log.deployments.find(id);
    if (found == state.log.deployments.end()) {
        return fail(Errc::not_found, "there is no deployment '" + id + "'");
    }
    const auto& d = found->second;
    Waiting waiting;
    const auto since = state.log.clock_ms - d.since_ms;
    const auto left = [&](Milliseconds limit) {
        return Milliseconds{std::max<std::int64_t>(limit.count() - since, 0)};
    };
    const auto wait_for_hosts = [&](auto is_waited_for) {
        for (const auto& [host, part] : d.hosts) {
            if (is_waited_for(host, part)) {
                ++waiting.hosts_in_all;
                if (waiting.hosts.size() < 20) {
                    waiting.hosts.push_back(host);
                }
            }
        }
    };
    if (is_over(d.phase)) {
        return waiting;
    }
    if (d.phase == Phase::rolling_back) {
        waiting.kind = WaitKind::going_back;
        wait_for_hosts([](const auto&, const HostProgress& part) {
            return was_ordered(part.step) || part.step == HostStep::returning;
        });
        waiting.what = counted(waiting.hosts_in_all, "host") + " to run " +
                       (d.from ? d.from->artifact.text() : "nothing") + " again";
        waiting.left = d.strategy.ready_deadline;
        return waiting;
    }
    if (d.paused) {
        waiting.kind = WaitKind::resume;
        waiting.what = "somebody to resume it";
        waiting.unblock = "slipway resume " + id;
        waiting.needs_a_person = true;
        return waiting;
    }
    if (const auto* freeze = freeze_of(state, d.key);
        freeze != nullptr && (d.phase == Phase::moving || d.phase == Phase::pausing)) {
        waiting.kind = WaitKind::freeze;
        waiting.what = "the end of the freeze of " + freeze->scope + " by " + freeze->by;
        waiting.unblock = "slipway unfreeze " + freeze->scope;
        waiting.needs_a_person = true;
        return waiting;
    }
    switch (d.phase) {
    case Phase::staging:
        waiting.kind = WaitKind::staging;
        wait_for_hosts([&](const std::string& host, const HostProgress&) {
            return !has_staged(state, d, host);
        });
        waiting.what = counted(waiting.hosts_in_all, "host") + " to stage the release";
        waiting.left = left(d.strategy.stage_deadline);
        break;
    case Phase::moving: {
        wait_for_hosts([&](const std::string& host, const HostProgress& part) {
            return part.step == HostStep::moving && is_present(state, host);
        });
        waiting.kind = WaitKind::readiness;
        waiting.what = counted(waiting.hosts_in_all, "host") + " of batch " +
                       std::to_string(d.batch + 1) + " to be ready";
        waiting.left = left(d.strategy.ready_deadline);
        if (waiting.hosts_in_all == 0) {
            waiting.kind = WaitKind::offline;
            wait_for_hosts([&](const std::string& host, const HostProgress& part) {
                return part.batch <= d.batch && part.step == HostStep::waiting &&
                       !is_present(state, host);
            });
            waiting.what = counted(waiting.hosts_in_all, "host") + " of batch " +
                           std::to_string(d.batch + 1) + " that are offline, more than " +
                           d.strategy.offline_budget.text();
            waiting.left.reset();
            waiting.needs_a_person = true;
            waiting.unblock = "slipway abort " + id;
        }
        break;
    }
    case Phase::baking: {
        const auto bake = d.strategy.bake_of(d.batches.at(d.batch).step);
        for (const auto index : d.batches.at(d.batch).gates) {
            const auto& gate = d.strategy.gates.at(index);
            const auto answer = d.gates.find(gate.name);
            if (answer != d.gates.end() && answer->second.verdict == GateVerdict::pass) {
                continue;
            }
            const bool is_approval = gate.kind == GateKind::approval;
            if (is_approval || since >= bake.count()) {
                waiting.kind = is_approval ? WaitKind::approval : WaitKind::gate;
                waiting.gate = gate.name;
                waiting.what = is_approval ? "somebody to approve " + gate.name
                                           : "gate " + gate.name + ": " +
                                                 (answer == d.gates.end() ? "no answer yet"
                                                                          : answer->second.why);
                waiting.unblock = is_approval ? "slipway approve " + id : "slipway promote " + id;
                waiting.needs_a_person = true;
                return waiting;
            }
        }
        waiting.kind = WaitKind::bake;
        waiting.what = "the bake of batch " + std::to_string(d.batch + 1) + " of " +
                       std::to_string(d.batches.size());
        waiting.left = left(bake);
        waiting.unblock = "slipway promote " + id;
        break;
    }
    default:
        waiting.kind = WaitKind::pause;
        waiting.what = "the pause after batch " + std::to_string(d.batch + 1);
        waiting.left = left(d.strategy.pause);
    }
    return waiting;
}

} // namespace slipway::orchestrator
