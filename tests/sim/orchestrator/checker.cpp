#include "tests/sim/orchestrator/checker.h"

#include <algorithm>

namespace slipway::sim {

void Checker::decided(const Logged& logged, const View& view) {
    look(logged, &view);
}

void Checker::restarted(const std::vector<Logged>& log) {
    hosts_.clear();
    moves_.clear();
    freezes_.clear();
    good_.reset();
    active_.clear();
    for (const auto& logged : log) {
        look(logged, nullptr);
    }
}

void Checker::answered(const AskGate& ask, GateVerdict verdict, bool is_final) {
    if (verdict == GateVerdict::pass && is_final) {
        passes_.insert(ask.deployment + "/" + std::to_string(ask.batch) + "/" + ask.spec.name);
    }
    if (verdict == GateVerdict::fail) {
        fails_.insert(ask.deployment);
    }
}

void Checker::check_forward(const Move& move, const char* what) {
    if (!freezes_.empty()) {
        broke(std::string("I10: ") + what + " in a freeze");
    }
    if (move.paused) {
        broke(std::string("pause: ") + what + " while paused");
    }
}

// Down is who is not there, not ready, on its way, or runs what it should not.
void Checker::check_budget(const Move& move, const std::vector<std::string>& ordered,
                           const View& view) {
    std::set<std::string> down;
    for (const auto& [host, labels] : hosts_) {
        const auto told = view.hosts.find(host);
        const auto part = move.hosts.find(host);
        const auto step = part == move.hosts.end() ? HostStep::waiting : part->second;
        bool is_down = told == view.hosts.end() || !told->second.is_present ||
                       step == HostStep::moving || step == HostStep::returning;
        if (!is_down) {
            const auto web = told->second.report.services.find("web");
            const auto& wanted = step == HostStep::ready ? std::optional(move.to) : move.from;
            const bool runs = web != told->second.report.services.end() && web->second.running;
            is_down = (runs && !web->second.ready) ||
                      (step != HostStep::failed && wanted &&
                       !(runs && web->second.running->digest == wanted->digest));
        }
        if (is_down) {
            down.insert(host);
        }
    }
    auto after = down;
    after.insert(ordered.begin(), ordered.end());
    if (after.size() == down.size()) {
        return; // None that serves is taken down.
    }
    std::map<std::string, std::size_t> all;
    std::map<std::string, std::size_t> gone;
    std::set<std::string> taken;
    for (const auto& [host, labels] : hosts_) {
        const auto domain = label_of(labels, move.strategy.domain);
        ++all[domain];
        gone[domain] += after.contains(host) ? 1U : 0U;
        if (after.contains(host) && !down.contains(host)) {
            taken.insert(domain);
        }
    }
    if (after.size() > move.strategy.max_unavailable.budget_of(hosts_.size())) {
        broke("I2: " + std::to_string(after.size()) + " of " + std::to_string(hosts_.size()) +
              " hosts down, allowed " + move.strategy.max_unavailable.text());
    }
    for (const auto& domain : taken) {
        if (gone[domain] > move.strategy.max_unavailable_per_domain.budget_of(all[domain])) {
            broke("I2: too many hosts of the domain " + domain + " down");
        }
    }
}

void Checker::check_passed(const std::string& id, const Move& move, const BatchPassed& passed,
                           std::int64_t clock) {
    check_forward(move, "a batch passed");
    if (!passed.by.empty()) {
        return; // A person went past it, and the record says who.
    }
    const auto& batch = move.batches.at(passed.batch);
    if (clock - move.baking_since < move.strategy.bake_of(batch.step).count()) {
        broke("bake: batch " + std::to_string(passed.batch) + " of " + id + " passed early");
    }
    for (const auto index : batch.gates) {
        const auto& gate = move.strategy.gates.at(index);
        const auto said = std::ranges::find_if(
            passed.evidence, [&](const Evidence& one) { return one.gate == gate.name; });
        if (said == passed.evidence.end() || said->verdict != GateVerdict::pass) {
            broke("I6: batch passed without the evidence of " + gate.name);
        }
        const bool is_true =
            gate.kind == GateKind::approval
                ? move.approved.contains(gate.name)
                : passes_.contains(id + "/" + std::to_string(passed.batch) + "/" + gate.name);
        if (!is_true) {
            broke("I7: " + gate.name + " of " + id + " passed, and never said so");
        }
    }
}

void Checker::look(const Logged& logged, const View* view) {
    const auto id = deployment_of(logged.record);
    auto* move = moves_.contains(id) ? &moves_.at(id) : nullptr;
    if (move != nullptr && move->is_over) {
        broke("a record of " + id + ", which is over: " + std::string(kind_of(logged.record)));
    }
    if (const auto* r = std::get_if<HostSeen>(&logged.record)) {
        hosts_[r->host] = r->labels;
    } else if (const auto* forgotten = std::get_if<HostForgotten>(&logged.record)) {
        hosts_.erase(forgotten->host);
        for (auto& [of, one] : moves_) {
            one.hosts.erase(forgotten->host); // If it comes back it is no part of what goes on.
        }
    } else if (const auto* put = std::get_if<FreezePut>(&logged.record)) {
        freezes_.insert(put->scope);
    } else if (const auto* removed = std::get_if<FreezeRemoved>(&logged.record)) {
        freezes_.erase(removed->scope);
    } else if (const auto* environment = std::get_if<EnvironmentPut>(&logged.record)) {
        good_ = environment->good;
    } else if (const auto* created = std::get_if<DeploymentCreated>(&logged.record)) {
        if (!active_.empty()) {
            broke("I1: " + id + " begins while " + active_ + " goes on");
        }
        if (created->by.empty()) {
            broke("chain: nobody asked for " + id);
        }
        active_ = id;
        auto& m = moves_[id];
        m.from = created->from;
        m.to = created->to;
        m.strategy = created->strategy;
        m.batches = created->batches;
        m.emergency = created->emergency;
        m.is_going_back = created->is_rollback;
        if (created->is_rollback) {
            good_ = created->from;
            for (const auto& host : m.batches.front().hosts) {
                m.hosts[host] = HostStep::ready;
            }
        } else {
            check_forward(m, "a deployment begins");
            if (created->from != good_) {
                broke("I9: " + id + " would go back to another release than last-known-good");
            }
        }
    } else if (move == nullptr) {
        return;
    } else if (const auto* ordered = std::get_if<HostsOrdered>(&logged.record)) {
        if (ordered->back != move->is_going_back) {
            broke("an order of " + id + " in the wrong direction");
        }
        if (!ordered->back) {
            check_forward(*move, "hosts were ordered");
        }
        if (view != nullptr && !move->emergency) {
            check_budget(*move, ordered->hosts, *view);
        }
        for (const auto& host : ordered->hosts) {
            move->hosts[host] = ordered->back ? HostStep::returning : HostStep::moving;
            const auto in_turn = [&](const Batch& batch) {
                return std::ranges::find(batch.hosts, host) != batch.hosts.end();
            };
            const auto end = move->batches.begin() + move->batch + 1;
            if (!ordered->back && std::find_if(move->batches.begin(), end, in_turn) == end) {
                broke("plan: " + host + " was moved before its batch");
            }
        }
    } else if (const auto* changed = std::get_if<HostsChanged>(&logged.record)) {
        for (const auto& change : changed->changes) {
            move->hosts[change.host] = change.step;
        }
    } else if (std::holds_alternative<BatchReady>(logged.record)) {
        move->baking_since = logged.clock_ms;
    } else if (const auto* answered = std::get_if<GateAnswered>(&logged.record)) {
        if (!answered->by.empty() && answered->verdict == GateVerdict::pass) {
            move->approved.insert(answered->gate);
        } else if (!answered->by.empty() && answered->verdict == GateVerdict::fail) {
            fails_.insert(id);
        }
    } else if (const auto* passed = std::get_if<BatchPassed>(&logged.record)) {
        check_passed(id, *move, *passed, logged.clock_ms);
    } else if (const auto* began = std::get_if<BatchBegan>(&logged.record)) {
        check_forward(*move, "a batch began");
        move->batch = began->batch;
        move->approved.clear();
    } else if (std::holds_alternative<Paused>(logged.record)) {
        move->paused = true;
    } else if (std::holds_alternative<Resumed>(logged.record)) {
        move->paused = false;
    } else if (std::holds_alternative<EmergencyDeclared>(logged.record)) {
        move->emergency = true;
    } else if (const auto* back = std::get_if<RollbackBegan>(&logged.record)) {
        if (move->is_going_back) {
            broke("chain: " + id + " goes back twice");
        }
        const bool has_failed_host = std::ranges::any_of(
            move->hosts, [](const auto& part) { return part.second == HostStep::failed; });
        if (back->by.empty() && !has_failed_host && !fails_.contains(id)) {
            broke("I7: " + id + " went back, and nothing had failed: " + back->cause);
        }
        move->is_going_back = true;
        move->paused = false;
        move->emergency = back->emergency;
    } else if (const auto* ended = std::get_if<DeploymentEnded>(&logged.record)) {
        if (ended->phase == Phase::succeeded) {
            check_forward(*move, "a deployment succeeded");
            good_ = move->to;
        } else if (!move->is_going_back) {
            broke(id + " ended without going back");
        }
        move->is_over = true;
        active_.clear();
    }
}

} // namespace slipway::sim
