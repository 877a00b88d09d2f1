#include "orchestrator/core/metric_board.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "orchestrator/core/gate_sources.h"

namespace slipway::orchestrator {
namespace {

judge::Plan two_hosts() {
    judge::Plan plan{.canary = {"c"}, .baseline = {"b"}, .metrics = {}};
    plan.metrics.resize(2);
    plan.metrics[0].name = "latency";
    plan.metrics[1].name = "errors";
    judge::set_count_defaults(plan.metrics[1]);
    return plan;
}

api::MetricReport report(const std::string& name, const std::string& kind, double amount) {
    api::MetricReport metric;
    metric.service = "web";
    metric.name = name;
    metric.kind = kind;
    metric.amount = amount;
    metric.running_s = 9;
    return metric;
}

TEST_CASE("metric board: a plan gets what its hosts said last of its metrics", "[gates]") {
    MetricBoard board;
    const auto plan = two_hosts();
    CHECK(board.readings(plan, "web").empty());
    board.take("b", {report("latency", "value", 1), report("errors", "value", 2)}, 1'000);
    board.take("b", {report("latency", "value", 3), report("other", "value", 4)}, 2'000);
    board.take("stranger", {report("latency", "value", 5)}, 2'000);
    const auto readings = board.readings(plan, "web");
    REQUIRE(readings.size() == 1);
    CHECK(readings[0].host == 1);
    CHECK(readings[0].metric == 0);
    CHECK(readings[0].amount == 3);
    CHECK(readings[0].at_ms == 2'000);
    CHECK(readings[0].running_s == 9);
    CHECK(board.readings(plan, "another").empty());
    board.take("b", {}, 3'000); // It says nothing of its metrics any more.
    CHECK(board.readings(plan, "web").empty());
}

TEST_CASE("metric board: samples are of the host that the label names, once", "[gates]") {
    const auto plan = two_hosts();
    const MetricReading amount{{{{{"instance", "c:9100"}}, 5}, {{{"instance", "b"}}, 7}}, ""};
    const MetricReading exposure{{{{{"instance", "c:9100"}}, 50}}, ""};
    const auto readings = readings_of_samples(plan, 1, "instance", amount, exposure, 1'000, 33);
    REQUIRE(readings.size() == 2);
    CHECK(readings[0].amount == 5);
    CHECK(readings[0].exposure == 50);
    CHECK(readings[0].running_s == 33);
    CHECK(readings[1].running_s > 1'000'000);
    CHECK_FALSE(readings[1].exposure == readings[1].exposure); // None.
    const MetricReading twice{{{{{"instance", "c:1"}}, 5}, {{{"instance", "c:2"}}, 7}}, ""};
    const auto none = readings_of_samples(plan, 0, "instance", twice, {}, 1'000, 33);
    REQUIRE(none.size() == 1);
    CHECK_FALSE(none[0].amount == none[0].amount);
    CHECK(readings_of_samples(plan, 0, "host", amount, {}, 1'000, 33).empty());
}

TEST_CASE("gate sources: a gate names its Prometheus server, or there is only one", "[gates]") {
    GateSpec gate;
    gate.name = "g";
    Strategy strategy;
    strategy.gates = {gate};
    std::map<std::string, PrometheusConfig> one;
    one["a"].url = "http://a";
    auto two = one;
    two["b"].url = "http://b";
    CHECK(prometheus_of(gate, one)->url == "http://a");
    CHECK(prometheus_of(gate, two).error().code == Errc::usage);
    CHECK(prometheus_of(gate, {}).error().code == Errc::usage);
    CHECK(check_servers(strategy, one));
    CHECK(check_servers(strategy, {})); // It holds.
    CHECK_FALSE(check_servers(strategy, two));
    strategy.gates[0].server = gate.server = "b";
    CHECK(prometheus_of(gate, two)->url == "http://b");
    CHECK(check_servers(strategy, two));
    CHECK(check_servers(strategy, one).error().context.find("'b'") != std::string::npos);
    CHECK_FALSE(check_servers(strategy, {}));
    strategy.gates[0].kind = GateKind::compare;
    CHECK(check_servers(strategy, {})); // From agents' reports: no server is asked.
}

TEST_CASE("strategy: a comparison's keys are read, written and refused", "[gates]") {
    const std::string text = R"(version = 1
kind = "canary"
[[gate]]
name = "g"
kind = "compare"
server = "b"
host_label = "host"
[[gate.metrics]]
name = "errors"
kind = "count"
query = "errors"
exposure_query = "requests"
)";
    const auto strategy = parse_strategy(text, "test");
    REQUIRE(strategy);
    CHECK(strategy->gates[0].server == "b");
    CHECK(strategy->gates[0].host_label == "host");
    CHECK(strategy->gates[0].metrics[0].exposure_query == "requests");
    CHECK(parse_strategy(encode_strategy(*strategy), "again") == *strategy);
    const auto refused = [&](const std::string& line) {
        const auto read = parse_strategy(text + line, "test");
        return read ? std::string() : read.error().context;
    };
    CHECK(refused("harm_max = \"0.1\"\n").find("tolerated must be less") != std::string::npos);
    auto without = text.substr(0, text.find("exposure_query"));
    CHECK(parse_strategy(without, "test").error().context.find("exposure_query is needed") !=
          std::string::npos);
}

} // namespace
} // namespace slipway::orchestrator
