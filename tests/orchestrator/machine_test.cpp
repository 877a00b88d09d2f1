#include "orchestrator/core/machine.h"

#include <set>

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "common/core/sha256.h"

namespace slipway::orchestrator {
namespace {

Sha256Digest digest_of(const std::string& version) {
    return sha256(as_bytes(version));
}

/// A fleet that obeys at once, but for releases that fail on it; its log is kept.
class Fleet {
public:
    explicit Fleet(std::size_t hosts) {
        give(Started{1, "test"});
        for (std::size_t i = 0; i < hosts; ++i) {
            auto& report = reports_["h" + std::to_string(i)];
            report.host = "h" + std::to_string(i);
            report.labels = {{"tier", "web"}, {"zone", "z" + std::to_string(i % 2)}};
            report.boot = "b";
            give(report);
        }
        must(PutEnvironment{
            key, {.selector = {{"tier", "web"}}, .strategy = strategy()}, {}, "ann"});
    }

    static Strategy strategy() {
        auto strategy = default_strategy(StrategyKind::canary);
        strategy.steps = {hosts(1), percent(50), percent(100)};
        strategy.bake = {Milliseconds{1'000}};
        strategy.max_unavailable = percent(50);
        strategy.max_unavailable_per_domain = percent(100);
        return strategy;
    }

    Outcome give(const Event& event) {
        auto outcome = step(state, event, {1'700'000'000'000 + now_, now_});
        log.insert(log.end(), outcome.records.begin(), outcome.records.end());
        for (const auto& command : outcome.commands) {
            if (const auto* order = std::get_if<OrderHost>(&command)) {
                orders_[order->host] = *order;
            }
        }
        return outcome;
    }
    std::string must(const Event& event) {
        auto answer = give(event).answer;
        INFO((answer ? "" : describe(answer.error())));
        REQUIRE(answer);
        return *answer;
    }
    /// Lets time pass: hosts obey and report, the machine ticks.
    void run(std::int64_t ms) {
        for (const auto end = now_ + ms; now_ < end; now_ += 100) {
            for (auto& [name, report] : reports_) {
                if (!silent.contains(name)) {
                    obey(report);
                    give(report);
                }
            }
            give(Tick{});
            if (const auto* d = active()) {
                most_down = std::max(most_down, unavailable_hosts(state, d->key).size());
            }
        }
    }
    std::string deploy(const std::string& version, bool retry = false) {
        return must(deployment_of(version, retry));
    }
    static Deploy deployment_of(const std::string& version, bool retry = false) {
        return {key, {"web", version}, digest_of(version), {}, {}, retry, "ann", "why"};
    }
    const Deployment& deployment(const std::string& id) { return state.log.deployments.at(id); }
    const Deployment* active() {
        const auto& id = state.log.environments.at(key).active;
        return id.empty() ? nullptr : &deployment(id);
    }
    std::size_t running(const std::string& version) {
        std::size_t count = 0;
        for (const auto& [name, report] : reports_) {
            const auto web = report.services.find("web");
            count += web != report.services.end() && web->second.running &&
                             web->second.running->digest == digest_of(version)
                         ? 1U
                         : 0U;
        }
        return count;
    }

    static inline const EnvironmentKey key{"web", "prod"};
    FleetState state;
    std::vector<Logged> log;
    std::set<std::string> bad;    ///< Versions that fail on every host.
    std::set<std::string> silent; ///< Hosts.
    std::size_t most_down = 0;

private:
    void obey(HostReport& report) {
        const auto order = orders_.find(report.host);
        if (order == orders_.end() || !order->second.desired.services.contains("web")) {
            return;
        }
        const auto& wanted = order->second.desired.services.at("web");
        auto& web = report.services["web"];
        report.epoch = order->second.epoch;
        report.generation = order->second.generation;
        for (const auto& stage : wanted.stage) {
            web.staged.push_back(*stage.digest);
        }
        if (!wanted.run || (web.running && web.running->digest == wanted.run->digest)) {
            return;
        }
        if (bad.contains(wanted.run->artifact.version)) {
            web.bad = {{*wanted.run->digest, wanted.run->attempt, "probe: status 500"}};
            return;
        }
        web.running = {wanted.run->artifact.text(), wanted.run->digest};
        web.ready = true;
    }

    std::int64_t now_ = 0;
    std::map<std::string, HostReport> reports_;
    std::map<std::string, OrderHost> orders_;
};

} // namespace

TEST_CASE("machine: a good release goes over the fleet in batches, within the budget",
          "[machine]") {
    Fleet fleet(8);
    const auto first = fleet.deploy("1");
    fleet.run(20'000);
    CHECK(fleet.deployment(first).phase == Phase::succeeded);
    CHECK(fleet.running("1") == 8);
    const auto second = fleet.deploy("2");
    fleet.run(500);
    CHECK(fleet.running("2") == 1); // The canary bakes.
    CHECK(waiting_for(fleet.state, second)->kind == WaitKind::bake);
    fleet.run(20'000);
    CHECK(fleet.running("2") == 8);
    CHECK(fleet.most_down <= 4);
    CHECK(fleet.state.log.environments.at(Fleet::key).good->artifact.version == "2");
}

TEST_CASE("machine: a release that fails never leaves the canary, and is in quarantine",
          "[machine]") {
    Fleet fleet(8);
    fleet.deploy("1");
    fleet.run(20'000);
    fleet.bad.insert("2");
    const auto failed = fleet.deploy("2");
    fleet.run(20'000);
    CHECK(fleet.deployment(failed).phase == Phase::rolled_back);
    CHECK(fleet.deployment(failed).cause.find("status 500") != std::string::npos);
    CHECK(fleet.running("1") == 8);
    const auto refused = fleet.give(Fleet::deployment_of("2")).answer;
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::forbidden);
    fleet.bad.clear();
    const auto again = fleet.deploy("2", true);
    fleet.run(20'000);
    CHECK(fleet.deployment(again).phase == Phase::succeeded);
}

TEST_CASE("machine: a freeze and a pause stop forward moves, and never a way back", "[machine]") {
    Fleet fleet(4);
    fleet.deploy("1");
    fleet.run(20'000);
    const auto id = fleet.deploy("2");
    fleet.run(500);
    fleet.must(PutFreeze{"service:web", "bob", "sale"});
    fleet.run(10'000);
    CHECK(fleet.running("2") == 1);
    CHECK(waiting_for(fleet.state, id)->kind == WaitKind::freeze);
    fleet.must(RemoveFreeze{"service:web", "bob"});
    fleet.must(Pause{id, "bob", ""});
    fleet.run(10'000);
    CHECK(fleet.running("2") == 1);
    CHECK(waiting_for(fleet.state, id)->needs_a_person);
    fleet.must(PutFreeze{"all", "bob", "sale"});
    fleet.must(Abort{id, "ann", "no"});
    fleet.run(10'000);
    CHECK(fleet.deployment(id).phase == Phase::rolled_back);
    CHECK(fleet.running("1") == 4);
}

TEST_CASE("machine: the log gives the state again, and no record comes without a change",
          "[machine]") {
    Fleet fleet(4);
    fleet.deploy("1");
    fleet.run(20'000);
    fleet.bad.insert("2");
    fleet.deploy("2");
    fleet.run(3'000);
    FleetState again;
    for (const auto& logged : fleet.log) {
        const auto text = encode_record(logged);
        const auto decoded =
            decode_record(kind_of(logged.record), logged.at_unix_ms, text, "record");
        REQUIRE(decoded);
        CHECK(*decoded == logged);
        REQUIRE(apply(again, *decoded));
    }
    again.log.clock_ms = fleet.state.log.clock_ms; // It goes on between records.
    CHECK(again.log == fleet.state.log);
    const auto records = fleet.log.size();
    for (int i = 0; i < 50; ++i) {
        fleet.give(Tick{});
    }
    CHECK(fleet.log.size() == records);
}

TEST_CASE("machine: hosts that are offline are waited for within reason, and converge when back",
          "[machine]") {
    Fleet fleet(4);
    fleet.deploy("1");
    fleet.run(20'000);
    fleet.silent.insert("h3");
    fleet.give(HostLost{"h3"});
    auto deploy = Fleet::deployment_of("2");
    deploy.strategy = Fleet::strategy();
    const auto id = fleet.must(deploy); // 5 % of 4 hosts is none.
    fleet.run(10'000);
    CHECK_FALSE(is_over(fleet.deployment(id).phase));
    fleet.must(Abort{id, "ann", ""});
    fleet.run(2'000);
    deploy.strategy->offline_budget = percent(30);
    const auto next = fleet.must(deploy);
    fleet.run(20'000);
    CHECK(fleet.deployment(next).phase == Phase::succeeded);
    CHECK(fleet.running("2") == 3);
    fleet.silent.clear();
    fleet.run(1'000);
    CHECK(fleet.running("2") == 4);
}

} // namespace slipway::orchestrator
