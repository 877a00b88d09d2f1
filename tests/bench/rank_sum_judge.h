#pragma once

#include <vector>

namespace slipway::bench {

/// The judge that is most in use, for comparison: a rank-sum test of the canary's minutes against
/// the baseline's. It is bad if the lower end of the 98 % confidence interval of the shift is above
/// a quarter of the shift's Hodges-Lehmann estimate, and the canary's mean above the baseline's.
/// The interval's ends are order statistics of the differences of all pairs.
[[nodiscard]] bool is_bad_by_rank_sum(const std::vector<double>& canary,
                                      const std::vector<double>& baseline);

} // namespace slipway::bench
