#include "tests/bench/rank_sum_judge.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace slipway::bench {

bool is_bad_by_rank_sum(const std::vector<double>& canary, const std::vector<double>& baseline) {
    const auto mean = [](const std::vector<double>& values) {
        return std::accumulate(values.begin(), values.end(), 0.0) /
               static_cast<double>(values.size());
    };
    if (canary.empty() || baseline.empty() || canary == baseline) {
        return false;
    }
    std::vector<double> differences;
    differences.reserve(canary.size() * baseline.size());
    for (const double one : canary) {
        for (const double other : baseline) {
            differences.push_back(one - other);
        }
    }
    const auto at = [&](double place) {
        const auto last = static_cast<double>(differences.size() - 1);
        const auto chosen =
            differences.begin() + static_cast<std::ptrdiff_t>(std::clamp(place, 0.0, last));
        std::nth_element(differences.begin(), chosen, differences.end());
        return *chosen;
    };
    const auto n = static_cast<double>(canary.size());
    const auto m = static_cast<double>(baseline.size());
    constexpr double z = 2.3263; // 98 % both ways.
    const double shift = at(n * m / 2);
    const double low = at(n * m / 2 - z * std::sqrt(n * m * (n + m + 1) / 12) - 0.5);
    const double before = mean(baseline);
    return low > 0.25 * std::abs(shift) && (before == 0 || mean(canary) / before >= 1);
}

} // namespace slipway::bench
