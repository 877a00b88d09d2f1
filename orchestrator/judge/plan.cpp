#include "orchestrator/judge/plan.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "common/core/errc.h"

namespace slipway::orchestrator::judge {
namespace {

/// What is wrong with the rules, or nothing.
std::string_view problem_of(const MetricRules& rules) {
    const auto is_from = [](double value, double least, double most) {
        return value >= least && value <= most; // False of NaN.
    };
    if (rules.name.empty() || rules.name.size() > name_bytes_max) {
        return "its name must have 1 to 255 bytes";
    }
    if (!is_from(rules.tolerated, 0, 100) || !is_from(rules.harm_max, 0.001, 1'000)) {
        return "tolerated must be from 0 to 100, and harm_max from 0.001 to 1000";
    }
    if (rules.tolerated >= rules.harm_max) {
        return "tolerated must be less than harm_max";
    }
    if (rules.limit && !is_from(*rules.limit, 0, 1e300)) {
        return "limit must be a number from 0 on";
    }
    if (rules.limit_looks == 0 || !is_from(rules.negligible_rate, 0, 1e300)) {
        return "limit_looks must be 1 at least, and negligible_rate a number from 0 on";
    }
    if (rules.kind == Kind::count && rules.direction != Direction::higher_is_worse) {
        return "a count is worse when it is higher";
    }
    if (rules.kind != Kind::quantile) {
        return {};
    }
    if (!is_from(rules.quantile, 0.01, 0.9999) || !is_from(rules.samples_min, 1, 1e9)) {
        return "quantile must be from 0.01 to 0.9999, and samples_min from 1 on";
    }
    const auto& bounds = rules.bucket_bounds;
    if (bounds.empty() || bounds.size() > buckets_max ||
        !std::ranges::all_of(bounds, [&](double bound) { return is_from(bound, 0, 1e300); }) ||
        std::ranges::adjacent_find(bounds, std::greater_equal<>()) != bounds.end()) {
        return "bucket_bounds must be 1 to 64 numbers from 0 on that grow";
    }
    return {};
}

} // namespace

std::string_view to_string(Kind kind) {
    switch (kind) {
    case Kind::count:
        return "count";
    case Kind::value:
        return "value";
    case Kind::quantile:
        return "quantile";
    }
    return "unknown";
}

void set_count_defaults(MetricRules& rules) {
    rules.kind = Kind::count;
    rules.tolerated = 0.25;
    rules.harm_max = 1.0;
    rules.warm_up_s = 60;
    rules.negligible_rate = 1e-4;
}

Result<> check(const Plan& plan) {
    if (plan.canary.size() > hosts_max || plan.baseline.size() > hosts_max) {
        return fail(Errc::usage, "a group has more than " + std::to_string(hosts_max) + " hosts");
    }
    if (plan.metrics.empty() || plan.metrics.size() > metrics_max) {
        return fail(Errc::usage, "there must be 1 to " + std::to_string(metrics_max) + " metrics");
    }
    const auto is_part = [](double value) { return value > 0 && value < 0.5; };
    if (!is_part(plan.false_alarm_max) || !is_part(plan.miss_max) ||
        !(plan.data_min >= 0 && plan.data_min <= 1)) {
        return fail(Errc::usage, "false_alarm_max and miss_max must be between 0 and 0.5, and "
                                 "data_min from 0 to 1");
    }
    std::set<std::string_view> names;
    for (const auto* group : {&plan.canary, &plan.baseline}) {
        for (const auto& host : *group) {
            if (host.empty() || host.size() > name_bytes_max || !names.insert(host).second) {
                return fail(Errc::usage, "host '" + printable(host.substr(0, 60)) +
                                             "' is named twice, or has no name");
            }
        }
    }
    names.clear();
    for (const auto& rules : plan.metrics) {
        auto problem = problem_of(rules);
        if (problem.empty() && !names.insert(rules.name).second) {
            problem = "it is named twice";
        }
        if (!problem.empty()) {
            return fail(Errc::usage, "metric '" + printable(rules.name.substr(0, 60)) +
                                         "': " + std::string(problem));
        }
    }
    return {};
}

} // namespace slipway::orchestrator::judge
