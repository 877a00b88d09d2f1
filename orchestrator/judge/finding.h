#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace slipway::orchestrator::judge {

inline constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

enum class Verdict : std::uint8_t { pass, fail, not_enough_evidence };
[[nodiscard]] std::string_view word(Verdict verdict);

/// Why a metric stands as it does; docs/judge.md explains each.
enum class Why : std::uint8_t {
    worse_than_baseline,    ///< fail
    beyond_limit,           ///< fail
    harm_excluded,          ///< pass: it is surely less than harm_max worse.
    negligible,             ///< pass: its rate surely does not matter.
    few_hosts_within_limit, ///< pass: too few hosts to compare, and the limit held.
    missing_data,           ///< the rest: open
    few_hosts,              ///< Too few to compare, and no limit was given.
    unsure,                 ///< It looks worse, or could still be worse than harm_max.
    baseline_beyond_limit,  ///< Beyond the limit, and so is the baseline: not the release.
};
inline constexpr std::uint8_t whys = 9;
[[nodiscard]] std::string_view word(Why why);

/// One metric's evidence: all that the log needs to follow the verdict. NaN: there is none.
struct Finding {
    std::string metric;
    Verdict verdict = Verdict::not_enough_evidence;
    Why why = Why::missing_data;
    double canary = no_number; ///< Counts: the rate; else the last interval's median over hosts.
    double baseline = no_number;
    double effect = no_number; ///< How many times worse the canary is; 1 is the same.
    /// Values: bounds of the effect that hold at all looks together.
    double effect_low = no_number;
    double effect_high = no_number;
    /// Values: p and the level at or under which it fails. Counts: logarithms of the evidence
    /// against "not worse than tolerated" and of what is needed to fail.
    double evidence = no_number;
    double needed = no_number;
    std::uint32_t canary_hosts = 0; ///< With data.
    std::uint32_t baseline_hosts = 0;
    double canary_amount = 0; ///< Counts: events; else intervals of hosts.
    double baseline_amount = 0;
    double canary_exposure = no_number; ///< Of counts.
    double baseline_exposure = no_number;
    double dispersion = no_number; ///< Counts: by how much hosts differ more than chance has it.
    double coverage = 0;           ///< Part of the readings that came, of the group with fewer.
    double tolerated = no_number;  ///< The rules: as factors, 1.03 for 3 %.
    double harmful = no_number;
    double limit = no_number;
};

} // namespace slipway::orchestrator::judge
