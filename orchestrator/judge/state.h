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
/// The logarithms of the wealth that each alternative has.
using Wealth = std::array<double, alternatives.size()>;

/// What one host said of one metric in an interval that is not closed.
struct Cell {
    enum class Kind : std::uint8_t { absent, warming, present };
    Kind kind = Kind::absent;
    double amount = 0;
    double exposure = 0;
    std::vector<double> buckets;
    bool operator==(const Cell&) const = default;
};

/// One host's part of one metric.
struct HostState {
    bool seen = false; ///< The four that follow are of its last reading.
    std::uint64_t last_at_s = 0;
    std::uint64_t process = 0;
    double last_amount = 0;
    double last_exposure = 0;
    std::vector<double> last_buckets;
    /// Counts: events and exposure. Else: the value relative to the fleet's, summed, and intervals.
    /// Over all looks, and since the last comparison.
    double sum = 0;
    double weight = 0;
    double recent_sum = 0;
    double recent_weight = 0;
    bool operator==(const HostState&) const = default;
};

struct MetricState {
    std::vector<HostState> hosts;
    Wealth wealth{};                    ///< Of counts, against "not worse than tolerated".
    std::vector<Wealth> wealth_without; ///< The same, with one host of the canary left out.
    double cash = 0;                    ///< Wealth that is not bet yet.
    std::array<double, 2> harm{};       ///< Of counts, against "worse by harm_max": logarithms.
    std::array<std::uint64_t, 2> expected{}; ///< Readings of the canary, of the baseline.
    std::array<std::uint64_t, 2> present{};
    std::uint32_t beyond_limit = 0; ///< Intervals in a row in which the canary was.
    bool baseline_beyond = false;   ///< In the last of them.
    bool fresh = false;             ///< The last closed interval had data of both groups.
    std::uint32_t looks = 0;        ///< Intervals that had.
    Finding finding;                ///< As of the last comparison.
};

/// All that the judge remembers. A value: copy it, keep it between looks, encode it.
struct State {
    std::uint32_t closed = 0; ///< Intervals.
    std::uint64_t late = 0;
    std::uint64_t unknown = 0;
    std::optional<Verdict> verdict;      ///< Once there is one, it stays.
    std::vector<std::vector<Cell>> open; ///< By interval from `closed` on; by metric, then host.
    std::vector<MetricState> metrics;
};

} // namespace slipway::orchestrator::judge
