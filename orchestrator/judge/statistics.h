#pragma once

#include <span>

namespace slipway::orchestrator::judge {

/// P(T > t) of Student's t with `freedom` degrees of freedom (above 0, not necessarily whole).
[[nodiscard]] double t_above(double t, double freedom);
/// The t for which t_above() is `p`, for 0 < p < 1.
[[nodiscard]] double t_quantile(double p, double freedom);
/// The logarithm of the mean of exp(logs[i] * scale), without overflow.
[[nodiscard]] double log_mean_exp(std::span<const double> logs, double scale);
/// The value in the middle. `values` is reordered, and must not be empty.
[[nodiscard]] double median(std::span<double> values);

} // namespace slipway::orchestrator::judge
