#include "orchestrator/judge/statistics.h"

#include <algorithm>
#include <cmath>

namespace slipway::orchestrator::judge {
namespace {

// lgamma() writes a global of the C library, which would make threads race.
double log_gamma(double x) {
    int sign = 0;
    return lgamma_r(x, &sign);
}

// The continued fraction of the incomplete beta function (Abramowitz and Stegun, 26.5.8), evaluated
// by Lentz's method.
double beta_fraction(double a, double b, double x) {
    constexpr double tiny = 1e-300;
    const auto away_from_zero = [](double value) { return std::abs(value) < tiny ? tiny : value; };
    double c = 1;
    double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
    double fraction = d;
    for (int i = 1; i <= 500; ++i) {
        const double m = i;
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 / away_from_zero(1 + even * d);
        c = away_from_zero(1 + even / c);
        fraction *= d * c;
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / away_from_zero(1 + odd * d);
        c = away_from_zero(1 + odd / c);
        fraction *= d * c;
        if (std::abs(d * c - 1) < 1e-14) {
            break;
        }
    }
    return fraction;
}

double incomplete_beta(double a, double b, double x) {
    if (x <= 0 || x >= 1) {
        return x <= 0 ? 0 : 1;
    }
    const double front = std::exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * std::log(x) +
                                  b * std::log1p(-x));
    return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                     : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

} // namespace

double t_above(double t, double freedom) {
    const double both = incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t));
    return t >= 0 ? both / 2 : 1 - both / 2;
}

double t_quantile(double p, double freedom) {
    if (p > 0.5) {
        return -t_quantile(1 - p, freedom);
    }
    double low = 0;
    double high = 1;
    while (t_above(high, freedom) > p && high < 1e12) {
        high *= 2;
    }
    for (int i = 0; i < 60; ++i) {
        const double middle = (low + high) / 2;
        (t_above(middle, freedom) > p ? low : high) = middle;
    }
    return high;
}

double log_mean_exp(std::span<const double> logs, double scale) {
    const double most = *std::max_element(logs.begin(), logs.end()) * scale;
    double sum = 0;
    for (const double one : logs) {
        sum += std::exp(one * scale - most);
    }
    return most + std::log(sum / static_cast<double>(logs.size()));
}

double median(std::span<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 == 1) {
        return *middle;
    }
    return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

} // namespace slipway::orchestrator::judge
