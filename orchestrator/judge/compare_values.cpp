// One number of each host and interval. What all hosts share (load, time of day) goes out by the
// fleet's median of the same interval; what is left is averaged over each host's intervals, and the
// hosts' averages are compared by Welch's t. Minutes of one host are not independent, hosts picked
// at random are: only hosts count. All data are compared at marks only; those since the last mark
// also 1, 2, 4, 8, ... looks after it. Each comparison gets its share of the errors that are
// allowed, so the verdicts hold at all of them together.
#include <algorithm>
#include <bit>
#include <cmath>

#include "orchestrator/judge/compare.h"
#include "orchestrator/judge/statistics.h"

namespace slipway::orchestrator::judge {
namespace {

constexpr double ratio_max = 32;
/// Hosts that seem to differ by less differ by this: measured numbers are rounded.
constexpr double spread_min = 0.01;

double relative(double value, double middle) {
    if (middle <= 0) {
        return value <= 0 ? 1 : ratio_max;
    }
    return std::clamp(value / middle, 1 / ratio_max, ratio_max);
}

std::vector<double> values_of(std::span<const Observation> seen) {
    std::vector<double> values;
    values.reserve(seen.size());
    for (const auto& one : seen) {
        if (one.kind == Observation::Kind::present) {
            values.push_back(one.amount);
        }
    }
    return values;
}

void take_in(const Question& question, MetricState& state, std::span<const Observation> seen) {
    auto values = values_of(seen);
    const double middle = median(values);
    const bool lower = question.rules.direction == Direction::lower_is_worse;
    for (std::size_t i = 0; i < question.hosts; ++i) {
        if (seen[i].kind == Observation::Kind::present) {
            const double how_bad = std::log(relative(seen[i].amount, middle)) * (lower ? -1 : 1);
            for (const auto window : {whole, recent}) {
                state.hosts[i].sum[window] += how_bad;
                state.hosts[i].weight[window] += 1;
            }
        }
    }
}

struct Sample {
    double hosts = 0;
    double mean = 0;
    double variance = 0;
};

// Hosts with less than half the data of others would be noisier than they.
Sample sample_of(std::span<const HostState> hosts, Window window) {
    double most = 0;
    for (const auto& host : hosts) {
        most = std::max(most, host.weight[window]);
    }
    std::vector<double> means;
    for (const auto& host : hosts) {
        if (host.weight[window] > 0 && host.weight[window] * 2 >= most) {
            means.push_back(host.sum[window] / host.weight[window]);
        }
    }
    Sample sample{static_cast<double>(means.size()), 0, 0};
    for (const double mean : means) {
        sample.mean += mean / sample.hosts;
    }
    for (const double mean : means) {
        sample.variance += (mean - sample.mean) * (mean - sample.mean) / (sample.hosts - 1);
    }
    sample.variance = std::max(sample.variance, spread_min * spread_min);
    return sample;
}

struct Comparison {
    bool can_be = false;
    double difference = 0;
    double error = 1;
    double freedom = 1;
    /// The probability of as large a difference if the true one is `by`.
    [[nodiscard]] double p_above(double by) const {
        return t_above((difference - by) / error, freedom);
    }
    [[nodiscard]] double reach(double p) const { return t_quantile(p, freedom) * error; }
};

Comparison compare(const Question& question, const MetricState& state, Window window) {
    const std::span<const HostState> hosts = state.hosts;
    const auto canary = sample_of(hosts.first(question.canaries), window);
    const auto baseline = sample_of(hosts.subspan(question.canaries), window);
    if (canary.hosts < hosts_to_compare || baseline.hosts < hosts_to_compare) {
        return {};
    }
    const double a = canary.variance / canary.hosts;
    const double b = baseline.variance / baseline.hosts;
    return {true, canary.mean - baseline.mean, std::sqrt(a + b),
            (a + b) * (a + b) / (a * a / (canary.hosts - 1) + b * b / (baseline.hosts - 1))};
}

void decide(Finding& finding, Verdict verdict, Why why) {
    finding.verdict = verdict;
    finding.why = why;
}

/// Comparisons of recent data after each mark: the powers of 2 that a gap between marks holds.
constexpr std::uint32_t late_checks = 16;

double late_level(const Question& question) {
    return question.false_alarm / 4 / marks_max / late_checks;
}

void show(Finding& finding, const Comparison& shown, const Question& question, double level) {
    finding.effect = std::exp(shown.difference);
    finding.effect_low = std::exp(shown.difference - shown.reach(level));
    finding.effect_high = std::exp(shown.difference + shown.reach(question.miss / marks_max));
    finding.evidence = shown.p_above(std::log1p(question.rules.tolerated));
    finding.needed = level;
}

/// Whether what came since the last mark is worse by so much that it fails alone.
bool fails_late(const Question& question, const MetricState& state, Finding& finding) {
    const auto late = compare(question, state, recent);
    if (!late.can_be || late.p_above(std::log1p(question.rules.tolerated)) > late_level(question)) {
        return false;
    }
    show(finding, late, question, late_level(question));
    decide(finding, Verdict::fail, Why::worse_than_baseline);
    return true;
}

/// No pass while what came since the last mark looks worse.
bool looks_worse_lately(const Question& question, const MetricState& state) {
    const auto late = compare(question, state, recent);
    return late.can_be && late.p_above(std::log1p(question.rules.tolerated)) < 0.05;
}

void compare_hosts(const Question& question, const MetricState& state, Finding& finding) {
    const auto all = compare(question, state, whole);
    if (!all.can_be) {
        const bool has_limit = question.rules.limit.has_value();
        return decide(finding, has_limit ? Verdict::pass : Verdict::not_enough_evidence,
                      has_limit ? Why::few_hosts_within_limit : Why::few_hosts);
    }
    // A quarter of the errors that are allowed is for recent data.
    const double level = question.false_alarm * 3 / 4 / marks_max;
    show(finding, all, question, level);
    if (finding.evidence <= level) {
        return decide(finding, Verdict::fail, Why::worse_than_baseline);
    }
    const bool is_harmless = finding.effect_high < 1 + question.rules.harm_max;
    decide(finding, is_harmless ? Verdict::pass : Verdict::not_enough_evidence,
           is_harmless ? Why::harm_excluded : Why::unsure);
}

double middle_of(std::span<const Observation> seen) {
    auto values = values_of(seen);
    return values.empty() ? no_number : median(values);
}

} // namespace

Finding judge_values(const Question& question, MetricState& state,
                     std::span<const Observation> seen, bool is_mark) {
    take_in(question, state, seen);
    auto finding = state.finding;
    finding.canary = middle_of(seen.first(question.canaries));
    finding.baseline = middle_of(seen.subspan(question.canaries));
    finding.canary_hosts = finding.baseline_hosts = 0;
    finding.canary_amount = finding.baseline_amount = 0;
    for (std::size_t i = 0; i < question.hosts; ++i) {
        const auto weight = state.hosts[i].weight[whole];
        (i < question.canaries ? finding.canary_amount : finding.baseline_amount) += weight;
        (i < question.canaries ? finding.canary_hosts : finding.baseline_hosts) +=
            weight > 0 ? 1U : 0U;
    }
    if (is_mark) {
        compare_hosts(question, state, finding);
        state.finding = finding;
    }
    const bool is_check = is_mark || std::has_single_bit(state.looks - state.mark_look);
    if (finding.verdict != Verdict::fail && state.marks < marks_max && is_check &&
        fails_late(question, state, finding)) {
        return finding;
    }
    if (finding.why == Why::harm_excluded && looks_worse_lately(question, state)) {
        decide(finding, Verdict::not_enough_evidence, Why::unsure);
    }
    if (!question.rules.limit) {
        return finding;
    }
    const double limit = *question.rules.limit;
    const bool lower = question.rules.direction == Direction::lower_is_worse;
    const auto is_beyond = [&](double value) { return lower ? value < limit : value > limit; };
    state.beyond_limit = is_beyond(finding.canary) ? state.beyond_limit + 1 : 0;
    state.base_beyond = is_beyond(finding.baseline) ? state.base_beyond + 1 : 0;
    if (finding.verdict == Verdict::fail || state.beyond_limit == 0) {
        return finding;
    }
    if (state.base_beyond > 0) {
        decide(finding, Verdict::not_enough_evidence, Why::baseline_beyond_limit);
    } else if (state.beyond_limit >= question.rules.limit_looks) {
        decide(finding, Verdict::fail, Why::beyond_limit);
    } else {
        decide(finding, Verdict::not_enough_evidence, Why::unsure);
    }
    return finding;
}

} // namespace slipway::orchestrator::judge
