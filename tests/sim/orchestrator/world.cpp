#include "tests/sim/orchestrator/world.h"

#include <algorithm>
#include <cstdio>

#include "common/core/errc.h"
#include "common/core/sha256.h"

namespace slipway::sim {
namespace {

constexpr std::int64_t step_ms = 100;
constexpr std::int64_t lease_ms = 2'000;
constexpr std::int64_t lost_after_ms = 3'000;
constexpr std::int64_t grace_ms = 6'000;

} // namespace

World::World(std::uint64_t seed, Mutation mutation, bool is_talking)
    : random_(seed), mutation_(mutation), is_talking_(is_talking) {
    const auto count = 2 + random_.below(18);
    const auto zones = 1 + random_.below(4);
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto name = "h" + std::to_string(i);
        hosts_.emplace(name, SimHost(name, {{"zone", "z" + std::to_string(i % zones)},
                                            {"region", i % 3 == 0 ? "eu" : "us"}}));
    }
}

void World::say(const std::string& line) const {
    if (is_talking_) {
        std::printf("%8.1f s  %s\n", static_cast<double>(now_) / 1'000, line.c_str());
    }
}

World::Process* World::driver() {
    for (auto& process : processes_) {
        if (process.is_up && process.is_driving && now_ >= process.stalled_until) {
            return &process;
        }
    }
    return nullptr;
}

void World::post(std::int64_t delay, std::function<void()> arrive) {
    network_.push({now_ + delay, ++messages_, std::move(arrive)});
}

// Loss, duplication, delay and with it reordering, and partitions that cut one way.
void World::post_lossy(bool to_host, const std::string& host, const std::function<void()>& arrive) {
    const auto& cut = to_host ? deaf_ : mute_;
    const auto found = cut.find(host);
    if (!is_calm_ && ((found != cut.end() && now_ < found->second) || random_.chance(500))) {
        return;
    }
    const int copies = !is_calm_ && random_.chance(500) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
        const auto slow = !is_calm_ && random_.chance(300) ? random_.below(6'000) : 0;
        post(static_cast<std::int64_t>(5 + random_.below(80) + slow), arrive);
    }
}

// The fencing of the store: records of whoever does not hold the lease are refused.
void World::commit(std::size_t index) {
    auto& process = processes_[index];
    if (process.records.empty()) {
        return send(index, std::exchange(process.commands, {}));
    }
    const bool is_fenced = process.epoch != lease_ || process.position != log_.size();
    if (is_fenced && mutation_ != Mutation::no_fencing) {
        process = Process();
        process.started = now_;
        return;
    }
    for (const auto& logged : process.records) {
        const auto text = encode_record(logged);
        const auto again = decode_record(kind_of(logged.record), logged.at_unix_ms, text, "log");
        if (!again || *again != logged) {
            return checker_.broke("a record does not survive the store: " + text.substr(0, 300));
        }
        if (const auto applied = apply(durable_, *again); !applied) {
            return checker_.broke("replay: " + describe(applied.error()));
        }
        log_.push_back(*again);
    }
    tally_.records += process.records.size();
    process.records.clear();
    process.position = log_.size();
    auto replayed = durable_.log;
    replayed.clock_ms = process.state.log.clock_ms; // Goes on between records.
    // Mutations that reach into the state are to be found by the promise that they break.
    const bool is_compared =
        mutation_ <= Mutation::fail_on_missing || mutation_ == Mutation::unlogged;
    if (is_compared && replayed != process.state.log) {
        return checker_.broke("I11: the log does not give the state that decides");
    }
    durable_.seen = Seen();                // Nothing but the log counts there.
    if (!is_calm_ && random_.chance(30)) { // Killed between the commit and the first command.
        process = Process();
        process.is_up = false;
        process.down_until = now_ + 500 + static_cast<std::int64_t>(random_.below(4'000));
        ++tally_.faults;
        return;
    }
    send(index, std::exchange(process.commands, {}));
}

void World::send(std::size_t index, std::vector<Command> commands) {
    for (const auto& command : commands) {
        if (const auto* order = std::get_if<OrderHost>(&command)) {
            send_order(*order);
        } else if (const auto* ask = std::get_if<AskGate>(&command)) {
            answer_gate(index, *ask);
        }
    }
}

void World::send_order(const OrderHost& order) {
    const auto known = durable_.log.hosts.find(order.host);
    if (known == durable_.log.hosts.end()) {
        return; // It was forgotten since.
    }
    if (order.epoch > durable_.log.epoch ||
        (order.epoch == durable_.log.epoch && order.generation > known->second.generation)) {
        checker_.broke("I5: an order for " + order.host + " left before its record was durable");
    }
    const auto& key = EnvironmentKey{"web", "prod"};
    const auto environment = durable_.log.environments.find(key);
    if (environment != durable_.log.environments.end() && order.epoch == durable_.log.epoch &&
        order.generation == known->second.generation) {
        const auto d = durable_.log.deployments.find(environment->second.active);
        const auto web = order.desired.services.find("web");
        if (d != durable_.log.deployments.end() && web != order.desired.services.end() &&
            d->second.phase == Phase::rolling_back && d->second.hosts.contains(order.host) &&
            d->second.hosts.at(order.host).step == HostStep::returning &&
            (web->second.run != environment->second.good || web->second.run == d->second.to)) {
            checker_.broke("I9: " + order.host +
                           " was ordered back to another release than"
                           " last-known-good");
        }
    }
    ++tally_.orders;
    post_lossy(true, order.host, [this, order] {
        auto& host = hosts_.at(order.host);
        if (host.is_up(now_)) {
            if (auto broken = host.obey(order, mutation_); !broken.empty()) {
                checker_.broke(broken);
            }
        }
    });
}

void World::answer_gate(std::size_t index, const AskGate& ask) {
    GateAnswer answer;
    if (now_ < no_metrics_until_ || (!is_calm_ && random_.chance(1'000))) {
        answer = {GateVerdict::hold, "no data: a value is NaN"};
    } else {
        const auto d = durable_.log.deployments.find(ask.deployment);
        const bool is_bad = d != durable_.log.deployments.end() &&
                            natures_.at(d->second.to.artifact.version) == Nature::degrades &&
                            ask.baked.count() > 500;
        answer = is_bad ? GateAnswer{GateVerdict::fail, "5 % errors > max 1 %"}
                        : GateAnswer{GateVerdict::pass, "0.1 % errors"};
    }
    const auto& strategy = durable_.log.deployments.at(ask.deployment).strategy;
    const auto& batch = durable_.log.deployments.at(ask.deployment).batches.at(ask.batch);
    checker_.answered(ask, answer.verdict, ask.baked >= strategy.bake_of(batch.step));
    if (answer.verdict == GateVerdict::hold && mutation_ == Mutation::pass_on_missing) {
        answer.verdict = GateVerdict::pass;
    } else if (answer.verdict == GateVerdict::hold && mutation_ == Mutation::fail_on_missing) {
        answer.verdict = GateVerdict::fail;
    }
    if (!is_calm_ && random_.chance(500)) {
        return; // The answer is lost.
    }
    const auto term = processes_[index].epoch;
    post(static_cast<std::int64_t>(50 + random_.below(900)), [this, index, term, ask, answer] {
        auto& process = processes_[index];
        if (process.is_up && process.is_driving && process.epoch == term) {
            (void)give(process,
                       GateSaid{ask.deployment, ask.batch, ask.spec.name, ask.number, answer});
        }
    });
}

Result<std::string> World::give(Process& process, const Event& event) {
    auto outcome = step(process.state, event, now());
    // Who lost the lease without knowing decides on; the store takes none of it.
    const bool counts = process.epoch == lease_ || mutation_ == Mutation::no_fencing;
    for (const auto& logged : outcome.records) {
        if (counts) {
            checker_.decided(logged, process.view);
        }
        if (is_talking_) {
            say(std::string(kind_of(logged.record)) + " " + encode_record(logged).substr(0, 400));
        }
        if (const auto* ended = std::get_if<DeploymentEnded>(&logged.record)) {
            ++tally_.deployments;
            tally_.succeeded += ended->phase == Phase::succeeded ? 1U : 0U;
            tally_.rolled_back += ended->phase == Phase::rolled_back ? 1U : 0U;
            tally_.failed += ended->phase == Phase::failed ? 1U : 0U;
        }
    }
    auto& pending = process.records;
    pending.insert(pending.end(), outcome.records.begin(), outcome.records.end());
    auto& commands = process.commands;
    if (mutation_ == Mutation::send_before_commit) {
        send(static_cast<std::size_t>(&process - processes_.data()), std::move(outcome.commands));
    } else {
        std::ranges::move(outcome.commands, std::back_inserter(commands));
    }
    mutate(process, event);
    return outcome.answer;
}

// Breaks a promise as a bug in the machine or in the shell would.
void World::mutate(Process& process, const Event& event) {
    auto& log = process.state.log;
    if (mutation_ == Mutation::ignore_freeze) {
        log.freezes.clear();
    }
    if (mutation_ == Mutation::unlogged && std::holds_alternative<Tick>(event) &&
        random_.chance(20)) {
        for (auto& [id, d] : log.deployments) {
            d.paused = false;
            d.batch += is_over(d.phase) || d.batch + 1 >= d.batches.size() ? 0U : 1U;
        }
    }
    for (auto& [id, d] : log.deployments) {
        if (mutation_ == Mutation::ignore_budget) {
            d.strategy.max_unavailable = percent(100);
            d.strategy.max_unavailable_per_domain = percent(100);
        } else if (mutation_ == Mutation::wrong_target && d.from) {
            d.from = d.to;
        } else if (mutation_ == Mutation::skip_bake && d.phase == Phase::baking) {
            d.since_ms = std::min(d.since_ms, log.clock_ms - 3'600'000);
        }
    }
    if (mutation_ == Mutation::two_active) {
        for (auto& [key, environment] : log.environments) {
            environment.active.clear();
        }
    }
}

void World::take_lease(Process& process, std::size_t index) {
    if (now_ < lease_until_) {
        return;
    }
    process.epoch = ++lease_;
    lease_until_ = now_ + lease_ms;
    holder_ = index;
    ++tally_.terms;
    say("orchestrator " + std::to_string(index) + " drives, epoch " + std::to_string(lease_));
    process.state = FleetState();
    for (const auto& logged : log_) {
        if (const auto applied = apply(process.state, logged); !applied) {
            return checker_.broke("replay: " + describe(applied.error()));
        }
    }
    checker_.restarted(log_);
    process.view = View();
    process.heard.clear();
    process.position = log_.size();
    process.is_driving = true;
    process.started = now_;
    (void)give(process, Started{lease_, "o" + std::to_string(index)});
    if (log_.empty()) {
        std::optional<Release> good; // What an older fleet runs already, or nothing.
        if (random_.chance(7'000)) {
            natures_["0"] = Nature::good;
            good = Release{{"web", "0"}, sha256(as_bytes("0")), 0};
        }
        (void)give(process, PutEnvironment{{"web", "prod"}, {}, good, "ann"});
    }
}

void World::drive(std::size_t index) {
    auto& process = processes_[index];
    if (!process.is_up && now_ >= process.down_until) {
        process = Process();
        process.started = now_;
    }
    if (!process.is_up || now_ < process.stalled_until) {
        return;
    }
    if (!process.is_driving) {
        return take_lease(process, index);
    }
    commit(index); // What was decided until the last turn.
    if (!process.is_up || !process.is_driving) {
        return;
    }
    if (process.epoch == lease_ && now_ < lease_until_) {
        lease_until_ = now_ + lease_ms;
    } else if (mutation_ != Mutation::no_fencing) {
        process = Process(); // Its renewal was refused.
        process.started = now_;
        return;
    }
    for (const auto& [name, host] : process.state.log.hosts) {
        const auto heard = process.heard.find(name);
        const auto quiet = heard == process.heard.end() ? now_ - process.started - grace_ms
                                                        : now_ - heard->second - lost_after_ms;
        auto& told = process.view.hosts[name];
        const auto seen = process.state.seen.hosts.find(name);
        const bool is_lost =
            seen != process.state.seen.hosts.end() && seen->second.presence == Presence::lost;
        if (quiet > 0 && !is_lost) {
            told.is_present = false;
            (void)give(process, HostLost{name});
            break; // The map may have changed; the others come in the next turn.
        }
    }
    (void)give(process, Tick{});
}

// Each host reports to both orchestrators; the one that drives answers with what it should run.
void World::hosts_report() {
    for (auto& [name, host] : hosts_) {
        host.run(now_, random_, natures_);
        if (!host.is_up(now_) ||
            (now_ / step_ms) % 10 !=
                static_cast<std::int64_t>(std::hash<std::string>()(name) % 10)) {
            continue;
        }
        const auto report = host.report();
        for (std::size_t i = 0; i < processes_.size(); ++i) {
            post_lossy(false, name, [this, i, report] {
                auto& process = processes_[i];
                if (!process.is_up || !process.is_driving || now_ < process.stalled_until) {
                    return;
                }
                process.heard[report.host] = now_;
                process.view.hosts[report.host] = {report.epoch <= process.epoch, report};
                (void)give(process, report);
                const auto order = order_of(process.state, report.host);
                if (std::tie(report.epoch, report.generation) <
                    std::tie(order.epoch, order.generation)) {
                    process.commands.push_back(order);
                }
            });
        }
    }
}

void World::tick() {
    now_ += step_ms;
    while (!network_.empty() && network_.top().at <= now_ && violation_.empty()) {
        const auto arrive = network_.top().arrive;
        network_.pop();
        arrive();
    }
    hosts_report();
    if (!is_calm_) {
        faults();
    }
    for (std::size_t i = 0; i < processes_.size() && violation_.empty(); ++i) {
        drive(i);
    }
}

std::string World::run(Tally& tally) {
    constexpr std::int64_t chaos_ms = 100'000;
    constexpr std::int64_t calm_ms = 900'000;
    while (now_ < chaos_ms && violation_.empty()) {
        tick();
        if (random_.chance(400)) {
            people();
        }
    }
    is_calm_ = true;
    no_metrics_until_ = 0;
    std::int64_t settled = 0;
    for (const auto end = now_ + calm_ms; now_ < end && violation_.empty() && settled < 200;) {
        tick();
        auto* process = driver();
        const auto environment = durable_.log.environments.find({"web", "prod"});
        const bool is_idle =
            environment == durable_.log.environments.end() || environment->second.active.empty();
        settled = process != nullptr && is_idle ? settled + 1 : 0;
        if (process != nullptr && now_ % 5'000 == 0) {
            help(*process);
        }
    }
    if (violation_.empty()) {
        violation_ = check_end();
    }
    tally.deployments += tally_.deployments;
    tally.succeeded += tally_.succeeded;
    tally.rolled_back += tally_.rolled_back;
    tally.failed += tally_.failed;
    tally.records += tally_.records;
    tally.orders += tally_.orders;
    tally.faults += tally_.faults;
    tally.terms += tally_.terms;
    return violation_;
}

// I8 and I12: all is over, and every host runs last-known-good, but for those on which it failed.
std::string World::check_end() {
    for (const auto& [id, d] : durable_.log.deployments) {
        if (!is_over(d.phase)) {
            auto* process = driver();
            const auto waiting =
                process == nullptr ? Result<Waiting>(Waiting()) : waiting_for(process->state, id);
            return "I12: " + id + " does not end: " + std::string(to_string(d.phase)) + ", " +
                   (waiting ? waiting->what : "?");
        }
    }
    const auto environment = durable_.log.environments.find({"web", "prod"});
    if (environment == durable_.log.environments.end() || !environment->second.good) {
        return {};
    }
    const auto& good = *environment->second.good;
    const bool is_sound = natures_.at(good.artifact.version) != Nature::crashes_later;
    for (const auto& [name, host] : hosts_) {
        if (is_sound && durable_.log.hosts.contains(name) && !host.is_bad(good) &&
            !host.runs(good)) {
            return "I8: " + name + " does not run " + good.artifact.text() + " in the end";
        }
    }
    return {};
}

} // namespace slipway::sim
