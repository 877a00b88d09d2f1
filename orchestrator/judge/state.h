#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "orchestrator/judge/finding.h"
#include "orchestrator/judge/plan.h"

namespace slipway::orchestrator::judge {

/// How many times worse than tolerated the alternatives of a count's e-process are.
inline constexpr std::array<double, 6> alternatives{1.3, 1.8, 2.7, 4.5, 9.0, 25.0};
/// The logarithms of the likelihood ratios of the alternatives.
using Wealth = std::array<double, alternatives.size()>;

/// Data count twice: from the beginning on, and since the last mark, so that a defect that begins
/// late is not thinned out by the good hours before.
enum Window : std::uint8_t { whole, recent, windows };
/// Marks are at looks 1 to 6, and then each at 1.25 times the look of the one before: the last at
/// look 891. Each costs evidence, as it is one more chance for a false alarm.
inline constexpr std::uint32_t marks_max = 30;

/// One host's part of one metric.
struct HostState {
    bool seen = false; ///< Those that follow are of its last reading.
    std::uint64_t last_at_ms = 0;
    std::uint64_t process = 0;
    double last_amount = 0;
    double last_exposure = 0;
    std::vector<double> last_buckets;
    /// Counts: events and exposure. Else: logarithms of values relative to the fleet's, and
    /// intervals.
    std::array<double, windows> sum{};
    std::array<double, windows> weight{};
    bool operator==(const HostState&) const = default;
};

struct MetricState {
    std::vector<HostState> hosts;            ///< The canary's, then the baseline's.
    std::array<Wealth, windows> wealth{};    ///< Of counts, against "not worse than tolerated".
    std::array<double, 2> harm{};            ///< Of counts, against "worse by harm_max".
    std::array<std::uint64_t, 2> expected{}; ///< Readings of the canary, of the baseline.
    std::array<std::uint64_t, 2> present{};
    std::uint32_t looks = 0;        ///< With data of both groups.
    std::uint32_t marks = 0;        ///< So far.
    std::uint32_t next_mark = 1;    ///< The look at which the next one is.
    std::uint32_t mark_look = 0;    ///< The look of the last one.
    std::uint32_t beyond_limit = 0; ///< Of values: looks in a row in which the canary was.
    std::uint32_t base_beyond = 0;  ///< The same of the baseline.
    Finding finding;                ///< The last; of values: as of the last mark.
    bool failed = false;            ///< For good; `finding` is the evidence of that moment.
};

/// All that the judge remembers. A value: copy it, keep it between looks, encode it.
struct State {
    std::uint32_t looks = 0;
    std::uint64_t unknown = 0; ///< Readings of no host or metric of the plan, or no numbers.
    std::vector<MetricState> metrics;
};

} // namespace slipway::orchestrator::judge
