// Scores the judge on its test set, beside a rank-sum judge over minutes: false alarms, misses, and
// looks until it is decided. Seeds are the numbers of the deployments: every run gives the same.
//
//   judge_bench DEPLOYMENTS [SCENARIO...]     ends with 1 if a goal is not kept
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "orchestrator/judge/judge.h"
#include "tests/bench/judge_world.h"
#include "tests/bench/rank_sum_judge.h"

namespace slipway::bench {
namespace {

using namespace orchestrator::judge;

constexpr std::uint32_t looks_max = 720;
constexpr std::uint32_t bake_looks = 60;
constexpr std::size_t metrics_judged = 8;

/// What the judge is asked for in a row of the table.
enum class Goal {
    no_alarm, ///< At most 0.5 % of deployments of eight metrics fail.
    no_miss,  ///< At most 1 % do not fail.
    none,     ///< Between tolerated and harmful: any verdict is right.
    no_guess, ///< Too little to tell most of the time: at most 1 % pass.
};

struct Row {
    Scenario scenario;
    Goal goal;
    bool counts = false; ///< Of defects: which kind of metric has it.
};

std::vector<Row> rows() {
    using enum Goal;
    return {
        {{.name = "aa-iid", .level_spread = 0}, no_alarm},
        {{.name = "aa-ar0.5", .level_spread = 0, .memory = 0.5, .error_memory = 0.3}, no_alarm},
        {{.name = "aa-ar0.8", .level_spread = 0, .memory = 0.8, .error_memory = 0.3}, no_alarm},
        {{.name = "aa-ar0.9", .level_spread = 0, .memory = 0.9, .error_memory = 0.3}, no_alarm},
        {{.name = "aa-ar0.95", .level_spread = 0, .memory = 0.95, .error_memory = 0.3}, no_alarm},
        {{.name = "aa-levels"}, no_alarm},
        {{.name = "aa-levels-ar0.9", .memory = 0.9, .error_memory = 0.3}, no_alarm},
        {{.name = "aa-day", .memory = 0.9, .day = 0.7, .error_memory = 0.3}, no_alarm},
        {{.name = "aa-ill-host", .ill_host = true}, no_alarm},
        {{.name = "aa-heavy-tails", .heavy_tails = true}, no_alarm},
        {{.name = "aa-gaps", .memory = 0.9, .gaps = 0.3, .error_memory = 0.3}, no_alarm},
        {{.name = "aa-cold-start", .cold_minutes = 5}, no_alarm},
        {{.name = "aa-3-hosts", .hosts = 3, .memory = 0.9, .error_memory = 0.3}, no_alarm},
        {{.name = "aa-40-hosts", .hosts = 40, .memory = 0.9, .error_memory = 0.3}, no_alarm},
        {{.name = "latency+25%", .latency_factor = 1.25}, no_miss},
        {{.name = "latency+25%-ar0.9", .memory = 0.9, .latency_factor = 1.25}, no_guess},
        {{.name = "latency+25%-25h-ar0.9", .hosts = 25, .memory = 0.9, .latency_factor = 1.25},
         no_miss},
        {{.name = "latency+50%", .latency_factor = 1.5}, no_miss},
        {{.name = "latency+10%", .latency_factor = 1.1}, none},
        {{.name = "latency-x2-from-360", .latency_factor = 2, .begins = 360}, no_miss},
        {{.name = "burst-20%-x2", .burst_part = 0.2, .burst_factor = 2}, no_miss},
        {{.name = "burst-20%-x2-25h", .hosts = 25, .burst_part = 0.2, .burst_factor = 2}, no_miss},
        {{.name = "burst-20%-x10", .burst_part = 0.2, .burst_factor = 10}, no_miss},
        {{.name = "burst-50%-x10", .burst_part = 0.5, .burst_factor = 10}, no_miss},
        {{.name = "burst-60%-x10", .burst_part = 0.6, .burst_factor = 10}, no_miss},
        {{.name = "errors-0.05-x10", .errors_a_minute = 0.05, .error_factor = 10}, no_miss, true},
        {{.name = "errors-0.05-x20", .errors_a_minute = 0.05, .error_factor = 20}, no_miss, true},
        {{.name = "errors-0.5-x10", .errors_a_minute = 0.5, .error_factor = 10}, no_miss, true},
        {{.name = "errors-0.5-x2", .errors_a_minute = 0.5, .error_factor = 2}, no_guess, true},
        {{.name = "errors-5-x2", .errors_a_minute = 5, .error_factor = 2}, no_guess, true},
        {{.name = "errors-5-x3", .errors_a_minute = 5, .error_factor = 3}, no_miss, true},
        {{.name = "errors-0-then-1", .errors_a_minute = 1e-9, .error_factor = 1e9}, no_miss, true},
        {{.name = "errors-x10-from-360", .errors_a_minute = 0.5, .error_factor = 10, .begins = 360},
         no_miss,
         true},
    };
}

MetricRules rules_of(bool counts, std::size_t number) {
    MetricRules rules;
    if (counts) {
        set_count_defaults(rules);
        rules.cumulative = false;
        rules.negligible_rate = 0;
    }
    rules.name = (counts ? "errors-" : "latency-") + std::to_string(number);
    return rules;
}

Plan plan_of(const Row& row) {
    Plan plan;
    for (std::size_t i = 0; i < row.scenario.hosts; ++i) {
        plan.canary.push_back("c" + std::to_string(i));
        plan.baseline.push_back("b" + std::to_string(i));
    }
    if (row.goal == Goal::no_alarm) {
        for (std::size_t i = 0; i < metrics_judged; ++i) {
            plan.metrics.push_back(rules_of(i % 2 == 1, i));
        }
    } else { // The other seven are healthy, and only take their share of the false alarms.
        plan.metrics.push_back(rules_of(row.counts, 0));
        plan.false_alarm_max /= metrics_judged;
    }
    return plan;
}

struct Outcome {
    bool failed = false;
    bool passed = false;     ///< At some look after the bake, before it failed.
    std::uint32_t looks = 0; ///< Until the first of them.
    bool rank_sum_bad = false;
};

/// The group's mean of a minute, as the other judge sees it.
void add_minute(const Minute& minute, std::size_t hosts, std::vector<double>& canary,
                std::vector<double>& baseline) {
    for (const bool is_canary : {true, false}) {
        double sum = 0;
        double weight = 0;
        for (std::size_t i = is_canary ? 0 : hosts; i < (is_canary ? hosts : 2 * hosts); ++i) {
            if (minute.values[i] == minute.values[i]) {
                sum += minute.values[i];
                weight += minute.exposure.empty() ? 1 : minute.exposure[i];
            }
        }
        if (weight > 0) {
            (is_canary ? canary : baseline).push_back(sum / weight);
        }
    }
}

Outcome run(const Row& row, std::uint64_t seed) {
    const auto plan = plan_of(row);
    const auto hosts = row.scenario.hosts;
    std::vector<World> worlds;
    for (std::size_t i = 0; i < plan.metrics.size(); ++i) {
        worlds.emplace_back(row.scenario, plan.metrics[i].kind == Kind::count,
                            seed * metrics_judged + i);
    }
    auto state = begin(plan);
    std::vector<std::vector<double>> canary(plan.metrics.size());
    std::vector<std::vector<double>> baseline(plan.metrics.size());
    Outcome out;
    std::vector<Reading> readings;
    for (std::uint32_t minute = 1; minute <= looks_max; ++minute) {
        readings.clear();
        for (std::uint32_t metric = 0; metric < worlds.size(); ++metric) {
            const auto said = worlds[metric].next();
            for (std::uint32_t host = 0; host < 2 * hosts; ++host) {
                Reading one{.host = host, .metric = metric, .at_ms = minute * 60'000ULL};
                one.running_s = host < hosts ? minute * 60 : 1'000'000;
                one.amount = said.values[host];
                one.exposure = said.exposure.empty() ? no_number : said.exposure[host];
                readings.push_back(one);
            }
            if (minute <= 180) {
                add_minute(said, hosts, canary[metric], baseline[metric]);
            }
        }
        // Hourly, for three hours, as its users are told to.
        for (std::size_t i = 0; i < canary.size() && minute <= 180 && minute % 60 == 0; ++i) {
            out.rank_sum_bad = out.rank_sum_bad || is_bad_by_rank_sum(canary[i], baseline[i]);
        }
        if (out.failed) {
            if (minute >= 180) {
                break;
            }
            continue;
        }
        const auto verdict = look(plan, state, readings).verdict;
        if (verdict == Verdict::fail) {
            out.failed = true;
            out.looks = out.passed ? out.looks : minute;
        } else if (verdict == Verdict::pass && minute >= row.scenario.begins + bake_looks &&
                   !out.passed) {
            out.passed = true;
            out.looks = minute;
        }
    }
    return out;
}

/// Exactly as asked: in few deployments none may go wrong, which their seeds decide once for all.
bool is_kept(const Row& row, int runs, int failed, int passed) {
    switch (row.goal) {
    case Goal::no_alarm:
        return failed <= 0.005 * runs;
    case Goal::no_miss:
        return runs - failed <= 0.01 * runs && passed <= 0.01 * runs;
    case Goal::none:
        return true;
    case Goal::no_guess:
        return passed <= 0.01 * runs;
    }
    return false;
}

bool score(const Row& row, int runs) {
    int failed = 0;
    int passed = 0;
    int rank_sum = 0;
    std::vector<std::uint32_t> looks;
    for (int i = 0; i < runs; ++i) {
        const auto out = run(row, static_cast<std::uint64_t>(i) + 1);
        failed += out.failed ? 1 : 0;
        passed += out.passed ? 1 : 0;
        rank_sum += out.rank_sum_bad ? 1 : 0;
        if (out.failed || out.passed) {
            looks.push_back(out.looks);
        }
    }
    std::ranges::sort(looks);
    const auto middle = looks.empty() ? 0U : looks[looks.size() / 2];
    const bool kept = is_kept(row, runs, failed, passed);
    const auto part = [&](int count) { return 100.0 * count / runs; };
    std::printf("%-24s %5d %9.2f %9.2f %9u %12.2f  %s\n", row.scenario.name, runs, part(failed),
                part(passed), middle, part(rank_sum), kept ? "kept" : "NOT KEPT");
    std::printf("{\"scenario\":\"%s\",\"runs\":%d,\"failed\":%d,\"passed\":%d,\"median_looks\":%u,"
                "\"rank_sum_bad\":%d,\"goal\":\"%s\",\"kept\":%s}\n",
                row.scenario.name, runs, failed, passed, middle, rank_sum,
                row.goal == Goal::no_alarm  ? "failed <= 0.5 %"
                : row.goal == Goal::none    ? "none"
                : row.goal == Goal::no_miss ? "not failed, or passed before, <= 1 %"
                                            : "passed <= 1 %",
                kept ? "true" : "false");
    std::fflush(stdout);
    return kept;
}

} // namespace
} // namespace slipway::bench

int main(int argc, char** argv) {
    using namespace slipway::bench;
    const int runs = argc > 1 ? std::atoi(argv[1]) : 0;
    if (runs < 1) {
        std::fprintf(stderr, "usage: judge_bench DEPLOYMENTS [SCENARIO...]\n");
        return 2;
    }
    const std::set<std::string> wanted(argv + 2, argv + argc);
    std::printf("%-24s %5s %9s %9s %9s %12s  %s\n", "scenario", "runs", "failed %", "passed %",
                "looks", "rank-sum %", "goal");
    bool all_kept = true;
    std::size_t found = 0;
    for (const auto& row : rows()) {
        if (wanted.empty() || wanted.contains(row.scenario.name)) {
            ++found;
            all_kept = score(row, runs) && all_kept;
        }
    }
    return all_kept && found > 0 && (wanted.empty() || found == wanted.size()) ? 0 : 1;
}
