#include "common/core/sha256.h"
#include "tests/sim/orchestrator/world.h"

namespace slipway::sim {

Strategy World::some_strategy() {
    const std::array kinds{StrategyKind::canary, StrategyKind::rolling, StrategyKind::blue_green};
    auto strategy = default_strategy(kinds[random_.below(kinds.size())]);
    strategy.bake = {Milliseconds{500 + random_.below(3'000)}};
    strategy.pause = Milliseconds{random_.below(2) * 1'000};
    if (strategy.kind != StrategyKind::blue_green) {
        strategy.max_unavailable = percent(static_cast<std::uint32_t>(20 + random_.below(40)));
        strategy.max_unavailable_per_domain = percent(50);
    }
    strategy.offline_budget = percent(static_cast<std::uint32_t>(random_.below(40)));
    strategy.max_failed = percent(random_.chance(3'000) ? 30 : 1);
    strategy.stage_first = random_.chance(7'000);
    strategy.stage_deadline = Milliseconds{20'000};
    strategy.ready_deadline = Milliseconds{15'000};
    strategy.unready_grace = Milliseconds{4'000};
    if (random_.chance(3'000)) {
        strategy.waves = {"us", "eu"};
    }
    const auto gate = [&](const char* name, GateKind kind) {
        GateSpec spec;
        spec.name = name;
        spec.kind = kind;
        spec.interval = Milliseconds{1'000};
        if (kind == GateKind::metric) {
            spec.query = "errors";
            spec.max = 0.01;
        } else if (kind == GateKind::webhook) {
            spec.target = "hook";
        }
        strategy.gates.push_back(spec);
    };
    if (random_.chance(6'000)) {
        gate("errors", GateKind::metric);
    }
    if (random_.chance(2'000)) {
        gate("hook", GateKind::webhook);
    }
    if (random_.chance(1'500)) {
        gate("boss", GateKind::approval);
    }
    return strategy;
}

// Operators, who act at any moment, wisely or not.
void World::people() {
    auto* process = driver();
    if (process == nullptr || !process->state.log.environments.contains({"web", "prod"})) {
        return;
    }
    const EnvironmentKey key{"web", "prod"};
    const auto id = process->state.log.environments.at(key).active;
    const auto what = random_.below(100);
    if (what < 55) {
        const auto draw = random_.below(10);
        const auto version = std::to_string(++versions_);
        natures_[version] = draw < 5   ? Nature::good
                            : draw < 7 ? Nature::fails_probe
                            : draw < 8 ? Nature::crashes_later
                                       : Nature::degrades;
        const bool is_again = versions_ > 3 && random_.chance(2'500);
        const auto name = is_again ? std::to_string(1 + random_.below(3)) : version;
        (void)give(*process, Deploy{key,
                                    {"web", name},
                                    sha256(as_bytes(name)),
                                    some_strategy(),
                                    {},
                                    random_.chance(5'000),
                                    "ann",
                                    "why"});
    } else if (what < 60) {
        (void)give(*process, Pause{id, "bob", ""});
    } else if (what < 70) {
        (void)give(*process, Resume{id, "bob", ""});
    } else if (what < 76) {
        (void)give(*process, Promote{id, "bob", "", random_.chance(3'000)});
    } else if (what < 80) {
        (void)give(*process, Abort{id, "bob", ""});
    } else if (what < 88) {
        (void)give(*process, Approve{id, "", random_.chance(8'000), "eve", ""});
    } else if (what < 91) {
        (void)give(*process, RollBack{key, random_.chance(3'000), "bob", "hm"});
    } else if (what < 94) {
        (void)give(*process, PutFreeze{"service:web", "bob", "sale"});
    } else if (what < 99) {
        (void)give(*process, RemoveFreeze{"service:web", "bob"});
    } else {
        const auto host = "h" + std::to_string(random_.below(hosts_.size()));
        if (process->state.log.hosts.contains(host)) {
            (void)give(*process, ForgetHost{host, "bob"});
        }
    }
}

// What a person does who reads what a deployment waits for. Nothing else may be needed.
void World::help(Process& process) {
    const auto id = process.state.log.environments.at({"web", "prod"}).active;
    if (id.empty()) {
        return;
    }
    const auto waiting = waiting_for(process.state, id);
    if (!waiting || !waiting->needs_a_person) {
        return;
    }
    say("helps with " + waiting->what + ": " + waiting->unblock);
    if (waiting->unblock.starts_with("slipway resume")) {
        (void)give(process, Resume{id, "ann", ""});
    } else if (waiting->unblock.starts_with("slipway unfreeze")) {
        (void)give(process, RemoveFreeze{"service:web", "ann"});
    } else if (waiting->unblock.starts_with("slipway approve")) {
        (void)give(process, Approve{id, "", true, "ann", ""});
    } else if (waiting->unblock.starts_with("slipway promote")) {
        (void)give(process, Promote{id, "ann", "", false});
    } else if (waiting->unblock.starts_with("slipway rollback")) {
        (void)give(process, RollBack{{"web", "prod"}, true, "ann", ""});
    } else if (waiting->unblock.starts_with("slipway abort")) {
        (void)give(process, Abort{id, "ann", ""});
    }
}

void World::faults() {
    const auto soon = [&](std::uint64_t most) {
        return now_ + 500 + static_cast<std::int64_t>(random_.below(most));
    };
    const auto some_host = [&]() -> SimHost& {
        return std::next(hosts_.begin(), static_cast<std::ptrdiff_t>(random_.below(hosts_.size())))
            ->second;
    };
    if (!random_.chance(300)) {
        return;
    }
    ++tally_.faults;
    auto& process = processes_[random_.below(processes_.size())];
    switch (random_.below(9)) {
    case 0:
        some_host().crash(soon(15'000));
        break;
    case 1: {
        auto& host = some_host();
        host.crash(soon(10'000));
        host.reimage();
        break;
    }
    case 2:
        deaf_[some_host().name()] = soon(10'000);
        break;
    case 3:
        mute_[some_host().name()] = soon(10'000);
        break;
    case 4: // What was decided and is not durable is lost with the process.
        process = Process();
        process.is_up = false;
        process.down_until = soon(8'000);
        break;
    case 5: // Long enough that the other one takes over; it wakes up and believes that it drives.
        process.stalled_until = soon(7'000);
        break;
    case 6:
        no_metrics_until_ = soon(15'000);
        break;
    case 7:
        wall_ += random_.chance(5'000) ? 86'400'000 : -86'400'000;
        break;
    default: {
        auto& host = some_host();
        host.flap(true);
        post(static_cast<std::int64_t>(200 + random_.below(3'000)), [&host] { host.flap(false); });
    }
    }
}

} // namespace slipway::sim
