#include "orchestrator/judge/finding.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "common/core/errc.h"
#include "orchestrator/judge/judge.h"

namespace slipway::orchestrator::judge {
namespace {

// Three digits tell what a person needs.
std::string say(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.3g", value);
    return text.data();
}

std::string percent(double part) {
    return say(part * 100) + " %";
}

std::string counted(std::uint32_t count) {
    return std::to_string(count) + (count == 1 ? " host" : " hosts");
}

bool is_count(const Finding& finding) {
    return std::isfinite(finding.canary_exposure);
}

std::string numbers_of(const Finding& finding) {
    if (is_count(finding)) {
        return "canary " + say(finding.canary_amount) + " of " + say(finding.canary_exposure) +
               " (" + counted(finding.canary_hosts) + "), baseline " +
               say(finding.baseline_amount) + " of " + say(finding.baseline_exposure) + " (" +
               counted(finding.baseline_hosts) + ")";
    }
    auto text = "canary " + say(finding.canary) + " (" + counted(finding.canary_hosts) +
                "), baseline " + say(finding.baseline) + " (" + counted(finding.baseline_hosts) +
                ")";
    if (std::isfinite(finding.effect)) {
        text += ", " + say(finding.effect) + " times as bad, between " + say(finding.effect_low) +
                " and " + say(finding.effect_high);
    }
    return text;
}

std::string reason_of(const Finding& finding) {
    switch (finding.why) {
    case Why::worse_than_baseline:
        return "worse than the tolerated " + say(finding.tolerated) + " times" +
               (is_count(finding)
                    ? " (evidence " + say(finding.evidence) + " of " + say(finding.needed) + ")"
                    : " (p " + say(finding.evidence) + ", at most " + say(finding.needed) + ")");
    case Why::beyond_limit:
        return "beyond the limit " + say(finding.limit);
    case Why::harm_excluded:
        return "surely less than " + say(finding.harmful) + " times as bad";
    case Why::negligible:
        return "so rare that it does not matter";
    case Why::few_hosts_within_limit:
        return "too few hosts to compare, and within the limit " + say(finding.limit);
    case Why::missing_data:
        return "data are missing: " + percent(finding.coverage) + " of the readings came";
    case Why::few_hosts:
        return "too few hosts to compare (3 of each group are needed), and no limit is set";
    case Why::unsure:
        return "could still be " + say(finding.harmful) + " times as bad";
    case Why::baseline_beyond_limit:
        return "beyond the limit " + say(finding.limit) + ", and so is the baseline";
    }
    return "unknown";
}

} // namespace

std::string_view word(Verdict verdict) {
    switch (verdict) {
    case Verdict::pass:
        return "pass";
    case Verdict::fail:
        return "fail";
    case Verdict::not_enough_evidence:
        return "not enough evidence";
    }
    return "unknown";
}

std::string_view word(Why why) {
    constexpr std::array<std::string_view, whys> words{
        "worse_than_baseline",    "beyond_limit", "harm_excluded", "negligible",
        "few_hosts_within_limit", "missing_data", "few_hosts",     "unsure",
        "baseline_beyond_limit"};
    return words.at(static_cast<std::size_t>(why));
}

std::string sentence(const Judgement& judgement) {
    // What decided goes first: the log keeps a bounded text.
    constexpr std::size_t bytes_max = 900;
    std::string text;
    std::size_t left_out = 0;
    for (const bool decides : {true, false}) {
        for (const auto& finding : judgement.findings) {
            if ((finding.verdict == judgement.verdict) != decides) {
                continue;
            }
            auto one = printable(finding.metric.substr(0, 60)) + ": " +
                       std::string(word(finding.verdict)) + ", " + reason_of(finding) + "; " +
                       numbers_of(finding);
            if (text.size() + one.size() > bytes_max) {
                ++left_out;
                continue;
            }
            text += (text.empty() ? "" : " | ") + one;
        }
    }
    if (left_out > 0) {
        text += " | and " + std::to_string(left_out) + " more";
    }
    return text + " | " + std::to_string(judgement.looks) +
           (judgement.looks == 1 ? " look" : " looks");
}

} // namespace slipway::orchestrator::judge
