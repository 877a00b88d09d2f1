#include "orchestrator/core/strategy.h"
#include "orchestrator/core/strategy_reader.h"

namespace slipway::orchestrator {
namespace {

using text::duration_text;
using text::Json;
using text::number_text;

Json metric_json(const judge::MetricRules& rules) {
    Json json{{"name", rules.name},
              {"kind", to_string(rules.kind)},
              {"worse", rules.direction == judge::Direction::lower_is_worse ? "lower" : "higher"},
              {"cumulative", rules.cumulative},
              {"tolerated", number_text(rules.tolerated)},
              {"harm_max", number_text(rules.harm_max)},
              {"limit_looks", rules.limit_looks},
              {"negligible_rate", number_text(rules.negligible_rate)},
              {"warm_up_s", rules.warm_up_s},
              {"quantile", number_text(rules.quantile)},
              {"samples_min", number_text(rules.samples_min)}};
    if (rules.limit) {
        json["limit"] = number_text(*rules.limit);
    }
    if (!rules.query.empty()) {
        json["query"] = rules.query;
    }
    if (!rules.exposure_query.empty()) {
        json["exposure_query"] = rules.exposure_query;
    }
    if (!rules.bucket_bounds.empty()) {
        auto& bounds = json["bucket_bounds"] = Json::array();
        for (const double bound : rules.bucket_bounds) {
            bounds.push_back(number_text(bound));
        }
    }
    return json;
}

Json gate_json(const GateSpec& gate) {
    Json json{{"name", gate.name},
              {"kind", to_string(gate.kind)},
              {"interval", duration_text(gate.interval)}};
    switch (gate.kind) {
    case GateKind::metric:
        json["query"] = gate.query;
        if (gate.min) {
            json["min"] = number_text(*gate.min);
        }
        if (gate.max) {
            json["max"] = number_text(*gate.max);
        }
        break;
    case GateKind::compare:
        for (const auto& metric : gate.metrics) {
            json["metrics"].push_back(metric_json(metric));
        }
        json["host_label"] = gate.host_label;
        break;
    case GateKind::webhook:
        json["target"] = gate.target;
        break;
    case GateKind::approval:
        break;
    }
    if (!gate.server.empty()) {
        json["server"] = gate.server;
    }
    if (!gate.steps.empty()) {
        json["steps"] = gate.steps;
    }
    return json;
}

} // namespace

std::string encode_strategy(const Strategy& strategy) {
    Json json{{"version", 1},
              {"kind", to_string(strategy.kind)},
              {"pause", duration_text(strategy.pause)},
              {"max_unavailable", strategy.max_unavailable.text()},
              {"max_unavailable_per_domain", strategy.max_unavailable_per_domain.text()},
              {"domain", strategy.domain},
              {"wave_label", strategy.wave_label},
              {"stage_first", strategy.stage_first},
              {"stage_deadline", duration_text(strategy.stage_deadline)},
              {"ready_deadline", duration_text(strategy.ready_deadline)},
              {"unready_grace", duration_text(strategy.unready_grace)},
              {"offline_budget", strategy.offline_budget.text()},
              {"max_failed", strategy.max_failed.text()},
              {"max_crashes", strategy.max_crashes}};
    auto& bake = json["bake"] = Json::array();
    for (const auto one : strategy.bake) {
        bake.push_back(duration_text(one));
    }
    if (strategy.kind == StrategyKind::canary) {
        for (const auto& step : strategy.steps) {
            json["steps"].push_back(step.text());
        }
    } else if (strategy.kind == StrategyKind::rolling && !strategy.steps.empty()) {
        json["batch"] = strategy.steps.front().text();
    }
    if (!strategy.waves.empty()) {
        json["waves"] = strategy.waves;
    }
    for (const auto& gate : strategy.gates) {
        json["gate"].push_back(gate_json(gate));
    }
    return json.dump();
}

} // namespace slipway::orchestrator
