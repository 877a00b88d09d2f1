#pragma once

#include <span>

#include "orchestrator/judge/judge.h"
#include "orchestrator/judge/observe.h"

namespace slipway::orchestrator::judge {

/// One metric of a plan, while a look is judged.
struct Question {
    const MetricRules& rules;
    std::size_t canaries = 0; ///< The first so many hosts.
    std::size_t hosts = 0;
    double false_alarm = 0; ///< This metric's share of the plan's.
    double miss = 0;
    double data_min = 0;

    [[nodiscard]] bool is_few() const;
};
/// Fewer hosts than these tell nothing of how much hosts differ.
inline constexpr std::size_t hosts_to_compare = 3;
/// A host among so few may be that much worse for reasons of its own.
inline constexpr double alone_factor = 3;

/// Takes in what the hosts said, and judges it. `seen` has data of both groups.
[[nodiscard]] Finding judge_counts(const Question& question, MetricState& state,
                                   std::span<const Observation> seen);
/// The same of values and quantiles. `is_mark`: hosts are compared.
[[nodiscard]] Finding judge_values(const Question& question, MetricState& state,
                                   std::span<const Observation> seen, bool is_mark);

} // namespace slipway::orchestrator::judge
