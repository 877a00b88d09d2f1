#include "orchestrator/judge/judge.h"

#include <algorithm>

#include "orchestrator/judge/compare.h"

namespace slipway::orchestrator::judge {
namespace {

bool is_fresh(const std::vector<Observation>& seen, std::size_t canaries) {
    std::array<std::size_t, 2> present{};
    for (std::size_t i = 0; i < seen.size(); ++i) {
        present[i < canaries ? 0 : 1] += seen[i].kind == Observation::Kind::present ? 1U : 0U;
    }
    return present[0] > 0 && present[1] > 0 && present[0] * 2 >= canaries &&
           present[1] * 2 >= seen.size() - canaries;
}

double coverage_of(const MetricState& state) {
    double least = 1;
    for (std::size_t group = 0; group < 2; ++group) {
        const auto expected = static_cast<double>(state.expected[group]);
        const auto part = static_cast<double>(state.present[group]) / expected;
        least = std::min(least, expected > 0 ? part : 0);
    }
    return least;
}

void pass_mark(MetricState& state) {
    ++state.marks;
    state.mark_look = state.looks;
    state.next_mark =
        state.marks < marks_max ? std::max(state.looks + 1, state.looks + state.looks / 4) : 0;
    state.wealth[recent] = {};
    for (auto& host : state.hosts) {
        host.sum[recent] = host.weight[recent] = 0;
    }
}

Finding judge_metric(const Question& question, MetricState& state,
                     const std::vector<Observation>& seen) {
    if (state.failed) {
        return state.finding;
    }
    for (std::size_t i = 0; i < seen.size(); ++i) {
        const auto group = i < question.canaries ? 0U : 1U;
        state.expected[group] += seen[i].kind != Observation::Kind::warming ? 1U : 0U;
        state.present[group] += seen[i].kind == Observation::Kind::present ? 1U : 0U;
    }
    const bool fresh = is_fresh(seen, question.canaries);
    Finding finding = state.finding;
    if (fresh) {
        const bool is_mark = ++state.looks == state.next_mark;
        if (question.rules.kind == Kind::count) {
            finding = state.finding = judge_counts(question, state, seen);
        } else {
            finding = judge_values(question, state, seen, is_mark);
        }
        if (is_mark) {
            pass_mark(state);
        }
    }
    finding.metric = question.rules.name;
    finding.coverage = coverage_of(state);
    finding.tolerated = 1 + question.rules.tolerated;
    finding.harmful = 1 + question.rules.harm_max;
    finding.limit = question.rules.limit.value_or(no_number);
    if (finding.verdict == Verdict::fail) {
        state.failed = true;
        state.finding = finding;
    } else if (!fresh ||
               (finding.verdict == Verdict::pass && finding.coverage < question.data_min)) {
        finding.verdict = Verdict::not_enough_evidence;
        finding.why = Why::missing_data;
    }
    return finding;
}

} // namespace

bool Question::is_few() const {
    return canaries < hosts_to_compare || hosts - canaries < hosts_to_compare;
}

State begin(const Plan& plan) {
    State state;
    state.metrics.resize(plan.metrics.size());
    for (auto& metric : state.metrics) {
        metric.hosts.resize(plan.canary.size() + plan.baseline.size());
    }
    return state;
}

Judgement look(const Plan& plan, State& state, const std::vector<Reading>& readings) {
    const auto hosts = plan.canary.size() + plan.baseline.size();
    std::vector<std::vector<Observation>> seen(plan.metrics.size(),
                                               std::vector<Observation>(hosts));
    for (const auto& reading : readings) {
        if (reading.metric >= plan.metrics.size() || reading.host >= hosts) {
            ++state.unknown;
            continue;
        }
        const auto& rules = plan.metrics[reading.metric];
        const auto one = observe(rules, state.metrics[reading.metric].hosts[reading.host], reading);
        auto& into = seen[reading.metric][reading.host];
        if (into.kind == Observation::Kind::present && rules.kind == Kind::count &&
            one.kind == into.kind) {
            into.amount += one.amount;
            into.exposure += one.exposure;
        } else if (one.kind != Observation::Kind::absent) {
            into = one;
        }
    }
    ++state.looks;
    Judgement judgement{Verdict::pass, state.looks, {}};
    for (std::size_t i = 0; i < plan.metrics.size(); ++i) {
        const Question question{
            plan.metrics[i], plan.canary.size(),
            hosts,           plan.false_alarm_max / static_cast<double>(plan.metrics.size()),
            plan.miss_max,   plan.data_min};
        judgement.findings.push_back(judge_metric(question, state.metrics[i], seen[i]));
        const auto verdict = judgement.findings.back().verdict;
        if (verdict == Verdict::fail) {
            judgement.verdict = Verdict::fail;
        } else if (verdict != Verdict::pass && judgement.verdict == Verdict::pass) {
            judgement.verdict = Verdict::not_enough_evidence;
        }
    }
    return judgement;
}

} // namespace slipway::orchestrator::judge
