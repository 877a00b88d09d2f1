#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace slipway::orchestrator::judge {

inline constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

enum class Verdict : std::uint8_t { pass, fail, not_enough_evidence };
[[nodiscard]] std::string_view word(Verdict verdict);

/// Why a metric stands as it does; the words are in docs/judge.md and in the JSON.
enum class Why : std::uint8_t {
    worse_than_baseline,    ///< fail
    beyond_limit,           ///< fail
    harm_excluded,          ///< pass: it is surely less than harm_max worse
    negligible,             ///< pass: its rate surely does not matter
    few_hosts_within_limit, ///< pass: too few hosts to compare, and the limit held
    baking,                 ///< the rest: open
    missing_data,
    few_hosts,             ///< too few to compare, and no limit was given
    unsure,                ///< looks worse, or could still be worse than harm_max
    baseline_beyond_limit, ///< beyond the limit, and so is the baseline: not the release
    looks_used_up,
};
[[nodiscard]] std::string_view word(Why why);

/// One metric's evidence, all that the audit log needs to follow the verdict. NaN: there is none.
struct Finding {
    std::string metric;
    Verdict verdict = Verdict::not_enough_evidence;
    Why why = Why::baking;
    double canary = no_number; ///< Mean of values relative to the fleet's at the same time; rate.
    double baseline = no_number;
    double effect = no_number; ///< How many times worse the canary is; 1 is the same.
    /// Bounds of the effect that hold at all looks together, from the comparison of hosts.
    double effect_low = no_number;
    double effect_high = no_number;
    double p_value = no_number;     ///< Of the comparison of hosts that was last made.
    double p_threshold = no_number; ///< At or under it, it fails.
    double e_value = no_number;     ///< Counts: evidence against "not worse than tolerated".
    double e_threshold = no_number;
    double limit = no_number;
    std::uint32_t canary_hosts = 0; ///< With data.
    std::uint32_t baseline_hosts = 0;
    double canary_amount = 0; ///< Counts: events; else intervals of hosts.
    double baseline_amount = 0;
    double canary_exposure = no_number;
    double baseline_exposure = no_number;
    double coverage = 0; ///< Part of the readings of the group with fewer that were there.
};

} // namespace slipway::orchestrator::judge
