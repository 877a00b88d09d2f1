#include "tests/bench/judge_world.h"

#include <cmath>
#include <limits>
#include <numbers>

namespace slipway::bench {

World::World(const Scenario& scenario, bool counts, std::uint64_t seed)
    : s_(scenario), counts_(counts), random_(seed) {
    std::student_t_distribution<> heavy(3);
    for (std::size_t i = 0; i < 2 * s_.hosts; ++i) {
        levels_.push_back(s_.level_spread *
                          (s_.heavy_tails ? heavy(random_) / std::sqrt(3.0) : normal_(random_)));
        noise_.push_back(normal_(random_));
    }
    if (s_.ill_host) {
        levels_[0] += std::log(5.0);
    }
}

bool World::has_gap() {
    return s_.gaps > 0 && std::uniform_real_distribution<>()(random_) < s_.gaps;
}

// Stationary, with a variance of 1.
double World::noise_of(std::size_t host) {
    noise_[host] =
        s_.memory * noise_[host] + std::sqrt(1 - s_.memory * s_.memory) * normal_(random_);
    return noise_[host];
}

Minute World::next() {
    Minute out;
    const double day =
        std::exp(s_.day * std::sin(2 * std::numbers::pi * static_cast<double>(minute_) / 720));
    const bool burst =
        s_.burst_part > 0 && std::uniform_real_distribution<>()(random_) < s_.burst_part;
    for (std::size_t host = 0; host < 2 * s_.hosts; ++host) {
        const bool canary = host < s_.hosts;
        const bool bad = canary && minute_ >= s_.begins;
        const double noise = noise_of(host);
        const bool gap = has_gap();
        if (counts_) {
            const auto share = static_cast<double>(s_.hosts);
            const double spread = std::exp(levels_[host] + s_.error_memory * noise);
            const double mean =
                s_.errors_a_minute / share * day * spread * (bad ? s_.error_factor : 1);
            const auto events = std::poisson_distribution<long>(mean)(random_);
            out.values.push_back(gap ? std::numeric_limits<double>::quiet_NaN()
                                     : static_cast<double>(events));
            out.exposure.push_back(s_.requests_a_minute / share * day);
        } else {
            double value = 100 * day * std::exp(levels_[host] + s_.noise * noise);
            value *= bad ? s_.latency_factor * (burst ? s_.burst_factor : 1) : 1;
            value *= canary && minute_ < s_.cold_minutes ? 10 : 1;
            out.values.push_back(gap ? std::numeric_limits<double>::quiet_NaN() : value);
        }
    }
    ++minute_;
    return out;
}

} // namespace slipway::bench
