#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.h"

namespace slipway::orchestrator::judge {

inline constexpr std::size_t metrics_max = 32;
/// Of each group. Of a larger one pass a random part.
inline constexpr std::size_t hosts_max = 512;
inline constexpr std::size_t buckets_max = 64;
inline constexpr std::size_t name_bytes_max = 255;

enum class Kind : std::uint8_t {
    count,    ///< Events and what they were among: errors of requests, crashes of host seconds.
    value,    ///< One number of a host and an interval: a p99 in ms, a mean, bytes of memory.
    quantile, ///< Of a latency histogram: counts in buckets, of which the judge takes a quantile.
};
/// As strategies and agents write it.
[[nodiscard]] std::string_view to_string(Kind kind);
enum class Direction : std::uint8_t { higher_is_worse, lower_is_worse };

/// How one metric is judged. The defaults suit a latency; for a count see
/// set_count_defaults().
struct MetricRules {
    std::string name; ///< Unique in the plan, 1 to 255 bytes.
    Kind kind = Kind::value;
    Direction direction = Direction::higher_is_worse; ///< A count is always worse when higher.
    /// Readings of counts and buckets grow since the process began (Prometheus counters), or hold
    /// what was added since the reading before.
    bool cumulative = true;

    /// A canary up to this much worse than the baseline never fails: 0.03 is 3 %, 0.25 of a count a
    /// rate 1.25 times the baseline's.
    double tolerated = 0.03;
    /// A canary this much worse or more does not pass, but for one in 1 / Plan::miss_max times.
    double harm_max = 0.15;
    /// The canary must not be beyond this value or rate, whatever the baseline does.
    std::optional<double> limit;
    /// For values: so many intervals in a row must be beyond the limit.
    std::uint32_t limit_looks = 3;
    /// For counts: a rate under this does not matter, so that no error at all can pass. 0: none is.
    double negligible_rate = 0;
    /// A host's first seconds with its release, which caches and compilers need, do not count.
    std::uint32_t warm_up_s = 300;

    double quantile = 0.99;            ///< For Kind::quantile.
    std::vector<double> bucket_bounds; ///< Upper bounds that grow; one more bucket is above them.
    double samples_min = 20;           ///< Fewer in a host's interval give no quantile.

    /// Where the readings come from, if not from agents' reports: PromQL that gives one sample of
    /// each host. The judge itself does not look at these.
    std::string query;
    std::string exposure_query; ///< For counts.
    bool operator==(const MetricRules&) const = default;
};
/// Sets the defaults of errors among requests: tolerated 1.25 times, harmful from 2 times on, a
/// warm-up of 60 s, one in 10 000 negligible.
void set_count_defaults(MetricRules& rules);

/// What is compared, and how sure the judge must be. Fixed for a gate: a group that grows is
/// another plan and another judge. The canary and the baseline hosts must have been picked at
/// random from the same hosts (of each failure domain): the comparison rests on it.
struct Plan {
    std::vector<std::string> canary;
    std::vector<std::string> baseline; ///< On the old release at the same time.
    std::vector<MetricRules> metrics;

    /// Of all healthy canaries so many may fail, over all metrics and looks of this plan. With
    /// several gates in a deployment give each its share.
    double false_alarm_max = 0.005;
    /// Of canaries that are harm_max worse so many may pass.
    double miss_max = 0.01;
    double data_min = 0.9; ///< A pass needs so much of each group's readings to be there.
    bool operator==(const Plan&) const = default;
};
/// Whether a plan can be judged. Groups may be empty: then nothing ever passes or fails. Error:
/// Errc::usage, and what is wrong with which metric or host.
[[nodiscard]] Result<> check(const Plan& plan);

} // namespace slipway::orchestrator::judge
