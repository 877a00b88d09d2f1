// Events among exposure. Given how many events both groups had together, those of the canary are
// binomial; each look multiplies the wealth of bets that their rate is worse than tolerated (and of
// bets that it is better than harmful) by the likelihood ratio. Under the hypothesis bet against,
// wealth does not grow on average, so that it ever reaches 1 / p has probability p at most.
//
// That holds for events that chance alone spreads. Hosts that differ by more are noticed by
// Pearson's statistic over hosts, and logarithms are divided by how much more it is.
#include <algorithm>
#include <cmath>

#include "orchestrator/judge/compare.h"
#include "orchestrator/judge/statistics.h"

namespace slipway::orchestrator::judge {
namespace {

struct Group {
    double events = 0;
    double exposure = 0;
    std::uint32_t hosts = 0;
    [[nodiscard]] double rate() const { return exposure > 0 ? events / exposure : no_number; }
};

Group group_of(const Question& question, const MetricState& state, Window window, bool canary) {
    Group group;
    const auto begin = canary ? 0 : question.canaries;
    const auto end = canary ? question.canaries : question.hosts;
    for (auto i = begin; i < end; ++i) {
        group.events += state.hosts[i].sum[window];
        group.exposure += state.hosts[i].weight[window];
        group.hosts += state.hosts[i].weight[window] > 0 ? 1U : 0U;
    }
    return group;
}

double tolerated_factor(const Question& question) {
    return (1 + question.rules.tolerated) * (question.is_few() ? alone_factor : 1);
}

// ln P(events | the canary's rate is `factor` times the baseline's), but for what does not depend
// on the factor.
double log_likelihood(const Group& canary, const Group& baseline, double factor) {
    constexpr double least = 1e-12; // Exposures are what hosts say.
    const double part =
        std::clamp(canary.exposure * factor / (canary.exposure * factor + baseline.exposure), least,
                   1 - least);
    return canary.events * std::log(part) + baseline.events * std::log1p(-part);
}

void bet(const Question& question, MetricState& state, const Group& canary, const Group& baseline) {
    const double tolerated = tolerated_factor(question);
    const double not_worse = log_likelihood(canary, baseline, tolerated);
    for (std::size_t i = 0; i < alternatives.size(); ++i) {
        const double gain =
            log_likelihood(canary, baseline, tolerated * alternatives[i]) - not_worse;
        state.wealth[whole][i] += gain;
        state.wealth[recent][i] += gain;
    }
    const double harmful = 1 + question.rules.harm_max;
    const double is_harm = log_likelihood(canary, baseline, harmful);
    state.harm[0] += log_likelihood(canary, baseline, 1) - is_harm;
    state.harm[1] += log_likelihood(canary, baseline, std::sqrt(harmful)) - is_harm;
}

struct Dispersion {
    double factor = 1; ///< Variance over hosts, of what chance alone would give.
    double freedom = 0;

    /// What a logarithm of evidence is divided by, for an error of `p`: never under 1. The factor
    /// is an estimate itself, which costs what Student's t costs against a normal quantile.
    [[nodiscard]] double divisor(double p) const {
        if (freedom < 1) {
            return 1;
        }
        constexpr double endless = 1e6;
        const double ratio = t_quantile(p, freedom) / t_quantile(p, endless);
        return std::max(1.0, factor * ratio * ratio);
    }
};

Dispersion dispersion_of(const Question& question, const MetricState& state, Window window) {
    Dispersion out;
    double pearson = 0;
    for (const bool canary : {true, false}) {
        const auto group = group_of(question, state, window, canary);
        if (group.events <= 0 || group.hosts < 2 || question.is_few()) {
            continue;
        }
        for (auto i = canary ? 0 : question.canaries;
             i < (canary ? question.canaries : question.hosts); ++i) {
            if (const double due = group.rate() * state.hosts[i].weight[window]; due > 0) {
                const double off = state.hosts[i].sum[window] - due;
                pearson += off * off / due;
            }
        }
        out.freedom += group.hosts - 1;
    }
    out.factor = out.freedom > 0 ? pearson / out.freedom : 1;
    return out;
}

struct Evidence {
    double has = 0;
    double needed = 0;
    double divisor = 1;
    [[nodiscard]] bool is_enough() const { return has >= needed; }
};

Evidence weigh(std::span<const double> logs, const Dispersion& dispersion, double p) {
    Evidence evidence{log_mean_exp(logs, 1), -std::log(p), 1};
    // The divisor is dear, and most looks are far from enough without it.
    if (evidence.is_enough()) {
        evidence.divisor = dispersion.divisor(p);
        evidence.has = log_mean_exp(logs, 1 / evidence.divisor);
    }
    return evidence;
}

// Against "its rate is `rate` at most" (`above`), or at least: bets on rates beyond.
Evidence beyond_rate(const Group& canary, double rate, bool above, const Dispersion& dispersion,
                     double p) {
    constexpr std::array<double, 3> worse{1.3, 2.0, 5.0};
    constexpr std::array<double, 3> better{0.5, 0.25, 0.1};
    std::array<double, 3> logs{};
    for (std::size_t i = 0; i < logs.size(); ++i) {
        const double factor = above ? worse[i] : better[i];
        logs[i] = canary.events * std::log(factor) - (factor - 1) * rate * canary.exposure;
    }
    return weigh(logs, dispersion, p);
}

void decide(Finding& finding, Verdict verdict, Why why) {
    finding.verdict = verdict;
    finding.why = why;
}

void show(Finding& finding, const Evidence& evidence) {
    finding.evidence = evidence.has;
    finding.needed = evidence.needed;
    finding.dispersion = evidence.divisor;
}

} // namespace

Finding judge_counts(const Question& question, MetricState& state,
                     std::span<const Observation> seen) {
    std::array<Group, 2> now;
    for (std::size_t i = 0; i < question.hosts; ++i) {
        if (seen[i].kind == Observation::Kind::present) {
            auto& group = now[i < question.canaries ? 0 : 1];
            group.events += seen[i].amount;
            group.exposure += seen[i].exposure;
            for (const auto window : {whole, recent}) {
                state.hosts[i].sum[window] += seen[i].amount;
                state.hosts[i].weight[window] += seen[i].exposure;
            }
        }
    }
    if (now[0].exposure > 0 && now[1].exposure > 0) {
        bet(question, state, now[0], now[1]);
    }

    const auto canary = group_of(question, state, whole, true);
    const auto baseline = group_of(question, state, whole, false);
    Finding finding;
    finding.canary = canary.rate();
    finding.baseline = baseline.rate();
    finding.effect = baseline.events > 0 ? canary.rate() / baseline.rate() : no_number;
    finding.canary_hosts = canary.hosts;
    finding.baseline_hosts = baseline.hosts;
    finding.canary_amount = canary.events;
    finding.baseline_amount = baseline.events;
    finding.canary_exposure = canary.exposure;
    finding.baseline_exposure = baseline.exposure;

    const auto dispersion = dispersion_of(question, state, whole);
    const auto late_dispersion = dispersion_of(question, state, recent);
    // Of the errors that are allowed: half for the whole and the limit, half for what is recent.
    const double p = question.false_alarm / (question.rules.limit ? 4 : 2);
    const double late_p = question.false_alarm / 2 / (marks_max + 1);
    const auto worse = weigh(state.wealth[whole], dispersion, p);
    const auto late = weigh(state.wealth[recent], late_dispersion, late_p);
    const bool is_late_open = state.marks < marks_max;
    show(finding, worse);
    decide(finding, Verdict::not_enough_evidence, Why::unsure);
    if (question.rules.limit) {
        const double limit = *question.rules.limit;
        const auto beyond = beyond_rate(canary, limit, true, dispersion, p);
        if (beyond.is_enough()) {
            show(finding, beyond);
            const bool both = baseline.rate() > limit;
            decide(finding, both ? Verdict::not_enough_evidence : Verdict::fail,
                   both ? Why::baseline_beyond_limit : Why::beyond_limit);
            return finding;
        }
    }
    if (question.rules.negligible_rate > 0 &&
        beyond_rate(canary, question.rules.negligible_rate, false, dispersion, question.miss)
            .is_enough()) {
        decide(finding, Verdict::pass, Why::negligible);
    } else if (worse.is_enough()) {
        decide(finding, Verdict::fail, Why::worse_than_baseline);
    } else if (is_late_open && late.is_enough()) {
        show(finding, late);
        decide(finding, Verdict::fail, Why::worse_than_baseline);
    } else if (weigh(state.harm, dispersion, question.miss).is_enough() &&
               !(is_late_open && late.has > -std::log(0.05))) {
        decide(finding, Verdict::pass, Why::harm_excluded);
    }
    return finding;
}

} // namespace slipway::orchestrator::judge
