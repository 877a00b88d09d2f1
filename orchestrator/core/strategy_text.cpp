#include <algorithm>

#include "common/core/names.h"
#include "orchestrator/core/strategy.h"
#include "orchestrator/core/strategy_reader.h"

namespace slipway::orchestrator {
namespace {

using text::Json;
using text::Lines;
using text::Reader;

bool is_name(const std::string& text) {
    return parse_service_name(text).has_value();
}

judge::MetricRules metric_from(const Json& value, const std::string& path, const Lines& lines,
                               std::string& problem) {
    judge::MetricRules rules;
    Reader reader(value, path, lines, problem);
    if (!value.is_object()) {
        reader.complain("", "must be a table with a name and a kind");
        return rules;
    }
    std::string kind;
    reader.text("kind", kind, 16);
    if (kind == "count") {
        judge::set_count_defaults(rules);
    } else if (kind == "quantile") {
        rules.kind = judge::Kind::quantile;
    } else if (kind != "value") {
        reader.complain("kind", "must be count, value or quantile");
    }
    reader.text("name", rules.name, judge::name_bytes_max);
    if (rules.name.empty()) {
        reader.complain("name", "must name a metric that the agents report");
    }
    std::string worse = "higher";
    reader.text("worse", worse, 16);
    if (worse != "higher" && worse != "lower") {
        reader.complain("worse", "must be higher or lower");
    }
    rules.direction =
        worse == "lower" ? judge::Direction::lower_is_worse : judge::Direction::higher_is_worse;
    reader.flag("cumulative", rules.cumulative);
    reader.number("tolerated", rules.tolerated);
    reader.number("harm_max", rules.harm_max);
    reader.number("limit", rules.limit);
    reader.count("limit_looks", rules.limit_looks, 1'000);
    reader.number("negligible_rate", rules.negligible_rate);
    reader.count("warm_up_s", rules.warm_up_s, 86'400);
    reader.number("quantile", rules.quantile);
    reader.number("samples_min", rules.samples_min);
    reader.text("query", rules.query, 4'096);
    reader.text("exposure_query", rules.exposure_query, 4'096);
    if (!rules.query.empty() && rules.kind == judge::Kind::quantile) {
        reader.complain("query", "gives a value (histogram_quantile) or a count, no quantile");
    }
    if (rules.exposure_query.empty() ==
        (rules.kind == judge::Kind::count && !rules.query.empty())) {
        reader.complain("exposure_query", "is needed beside the query of a count, and only there");
    }
    reader.list("bucket_bounds", judge::buckets_max, [&](const Json& bound, const std::string&) {
        const Json one{{"bound", bound}};
        double number = 0;
        Reader(one, path + ".bucket_bounds", lines, problem).number("bound", number);
        rules.bucket_bounds.push_back(number);
    });
    reader.end();
    return rules;
}

GateSpec gate_from(const Json& value, const std::string& path, std::size_t steps,
                   const Lines& lines, std::string& problem) {
    GateSpec gate;
    Reader reader(value, path, lines, problem);
    if (!value.is_object()) {
        reader.complain("", "must be a table with a name and a kind");
        return gate;
    }
    reader.text("name", gate.name, 64);
    if (!is_name(gate.name) || gate.name == "ready" || gate.name == "bake") {
        reader.complain("name", "must be of [a-z0-9._-], and not ready or bake");
    }
    std::string kind;
    reader.text("kind", kind, 16);
    bool known = false;
    for (const auto one :
         {GateKind::metric, GateKind::compare, GateKind::webhook, GateKind::approval}) {
        if (to_string(one) == kind) {
            gate.kind = one;
            known = true;
        }
    }
    if (!known) {
        reader.complain("kind", "must be metric, compare, webhook or approval");
    }
    if (gate.kind == GateKind::metric) {
        reader.text("query", gate.query, 4'096);
        reader.text("server", gate.server, 64);
        reader.number("min", gate.min);
        reader.number("max", gate.max);
        if (gate.query.empty() || (!gate.min && !gate.max)) {
            reader.complain("query", "is needed, and a min or a max");
        }
    }
    if (gate.kind == GateKind::compare) {
        gate.interval = std::chrono::seconds(60);
        reader.list("metrics", judge::metrics_max, [&](const Json& one, const std::string& key) {
            gate.metrics.push_back(metric_from(one, path + "." + key, lines, problem));
        });
        if (gate.metrics.empty()) {
            reader.complain("metrics", "must name one at least");
        }
        reader.text("server", gate.server, 64);
        reader.text("host_label", gate.host_label, 128);
        judge::Plan judged;
        judged.metrics = gate.metrics;
        if (const auto checked = judge::check(judged); !checked && !gate.metrics.empty()) {
            reader.complain("metrics", "must be such as can be judged: " + checked.error().context);
        }
    }
    if (gate.kind == GateKind::webhook) {
        reader.text("target", gate.target, 64);
        if (gate.target.empty()) {
            reader.complain("target", "must name a URL of the orchestrator's configuration");
        }
    }
    reader.duration("interval", gate.interval, Milliseconds{1'000});
    reader.list("steps", steps_max, [&](const Json& one, const std::string& key) {
        if (!one.is_number_unsigned() || one.get<std::uint64_t>() < 1 ||
            one.get<std::uint64_t>() > steps) {
            return reader.complain(key, "must be a step, from 1 on");
        }
        gate.steps.push_back(one.get<std::uint32_t>());
    });
    reader.end();
    return gate;
}

// The number that a gate's `steps` may name: of rolling, its batches, whose number depends on
// hosts.
std::size_t steps_of(const Strategy& strategy) {
    return strategy.kind == StrategyKind::rolling ? 10'000 : strategy.steps.size();
}

void check_steps(Reader& reader, const Strategy& strategy) {
    const auto& steps = strategy.steps;
    if (strategy.kind == StrategyKind::canary) {
        if (steps.empty() || steps.back() != percent(100)) {
            reader.complain("steps", "must end with \"100%\"");
        }
        for (std::size_t i = 1; i < steps.size(); ++i) {
            if (steps[i].percent < steps[i - 1].percent ||
                (steps[i].percent == steps[i - 1].percent &&
                 steps[i].value <= steps[i - 1].value)) {
                reader.complain("steps", "must grow: numbers of hosts first, then percentages");
            }
        }
    }
    if (std::ranges::any_of(steps, [](const Amount& step) { return step.value == 0; })) {
        reader.complain(strategy.kind == StrategyKind::rolling ? "batch" : "steps",
                        "must not be 0");
    }
}

Strategy strategy_from(const Json& value, const Lines& lines, std::string& problem) {
    Reader reader(value, "", lines, problem);
    std::uint32_t version = 0;
    reader.count("version", version, 1);
    if (version != 1) {
        reader.complain("version", "must be 1");
    }
    std::string kind;
    reader.text("kind", kind, 16);
    auto named = named_strategy(kind);
    if (!named) {
        reader.complain("kind", "must be rolling, canary or blue-green");
        return {};
    }
    Strategy strategy = std::move(*named);
    if (strategy.kind == StrategyKind::canary) {
        if (value.contains("steps")) {
            strategy.steps.clear();
        }
        reader.list("steps", steps_max, [&](const Json& one, const std::string& key) {
            auto amount = Reader::amount_of(one);
            amount ? strategy.steps.push_back(*amount)
                   : reader.complain(key, amount.error().context);
        });
    } else if (strategy.kind == StrategyKind::rolling) {
        reader.amount("batch", strategy.steps.front());
    }
    if (const auto found = value.find("bake"); found != value.end() && found->is_array()) {
        strategy.bake.clear();
        reader.list("bake", steps_max, [&](const Json& one, const std::string& key) {
            const auto duration = Reader::duration_of(one);
            duration ? strategy.bake.push_back(*duration)
                     : reader.complain(key, Reader::duration_rule(Milliseconds{0}));
        });
    } else {
        reader.duration("bake", strategy.bake.front());
    }
    reader.duration("pause", strategy.pause);
    reader.amount("max_unavailable", strategy.max_unavailable);
    reader.amount("max_unavailable_per_domain", strategy.max_unavailable_per_domain);
    reader.text("domain", strategy.domain, 128);
    reader.text("wave_label", strategy.wave_label, 128);
    reader.list("waves", waves_max, [&](const Json& one, const std::string& key) {
        const bool fits =
            one.is_string() && !one.get_ref<const std::string&>().empty() &&
            one.get_ref<const std::string&>().size() <= 128 &&
            std::ranges::find(strategy.waves, one.get<std::string>()) == strategy.waves.end();
        fits ? strategy.waves.push_back(one.get<std::string>())
             : reader.complain(key, "must be a value of the label, named once");
    });
    reader.flag("stage_first", strategy.stage_first);
    reader.duration("stage_deadline", strategy.stage_deadline, Milliseconds{1'000});
    reader.duration("ready_deadline", strategy.ready_deadline, Milliseconds{1'000});
    reader.duration("unready_grace", strategy.unready_grace);
    reader.amount("offline_budget", strategy.offline_budget);
    reader.amount("max_failed", strategy.max_failed);
    reader.count("max_crashes", strategy.max_crashes, 1'000);
    reader.list("gate", gates_max, [&](const Json& one, const std::string& key) {
        auto gate = gate_from(one, key, steps_of(strategy), lines, problem);
        const bool twice = std::ranges::any_of(
            strategy.gates, [&](const GateSpec& other) { return other.name == gate.name; });
        if (twice) {
            reader.complain(key, "has the name of another gate");
        }
        strategy.gates.push_back(std::move(gate));
    });
    check_steps(reader, strategy);
    reader.end();
    return strategy;
}

} // namespace

Result<Strategy> parse_strategy(std::string_view text, std::string_view what) {
    text::Lines lines;
    auto value = text::read_text(text, what, lines);
    if (!value) {
        return tl::unexpected(std::move(value.error()));
    }
    std::string problem;
    auto strategy = strategy_from(*value, lines, problem);
    if (!problem.empty()) {
        return fail(Errc::usage, std::string(what) + ": " + problem);
    }
    return strategy;
}

} // namespace slipway::orchestrator
