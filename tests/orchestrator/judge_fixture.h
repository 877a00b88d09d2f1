#pragma once

#include <cmath>
#include <functional>
#include <random>

#include "orchestrator/judge/judge.h"

namespace slipway::orchestrator::judge {

inline std::vector<std::string> names(const std::string& prefix, std::size_t count) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < count; ++i) {
        out.push_back(prefix + std::to_string(i));
    }
    return out;
}

inline MetricRules errors() {
    MetricRules rules;
    set_count_defaults(rules);
    rules.name = "errors";
    rules.cumulative = false;
    rules.warm_up_s = 0;
    rules.negligible_rate = 0;
    return rules;
}

inline MetricRules latency() {
    MetricRules rules;
    rules.name = "latency";
    rules.warm_up_s = 0;
    return rules;
}

inline Plan plan_of(std::size_t hosts, std::vector<MetricRules> metrics) {
    return {
        .canary = names("c", hosts), .baseline = names("b", hosts), .metrics = std::move(metrics)};
}

/// A judge and its looks, a minute apart. Each look goes through encode() and decode().
class Judging {
public:
    explicit Judging(Plan plan) : plan_(std::move(plan)), state_(begin(plan_)) {}

    /// One look; `reading` fills in what host and metric of the reading say, or gives false.
    Judgement look(const std::function<bool(Reading&)>& reading) {
        ++looks_;
        std::vector<Reading> readings;
        for (std::uint32_t metric = 0; metric < plan_.metrics.size(); ++metric) {
            for (std::uint32_t host = 0; host < hosts(); ++host) {
                Reading one{.host = host, .metric = metric, .at_ms = looks_ * 60'000};
                one.running_s = looks_ * 60;
                if (reading(one)) {
                    readings.push_back(one);
                }
            }
        }
        return give(readings);
    }
    Judgement give(const std::vector<Reading>& readings) {
        auto decoded = decode(plan_, encode(plan_, state_));
        state_ = decoded.value();
        return judge::look(plan_, state_, readings);
    }
    /// Looks until it is decided, at most `most`.
    Judgement decide(int most, const std::function<bool(Reading&)>& reading) {
        Judgement last;
        for (int i = 0; i < most; ++i) {
            last = look(reading);
            if (last.verdict != Verdict::not_enough_evidence) {
                break;
            }
        }
        return last;
    }
    [[nodiscard]] std::uint32_t hosts() const {
        return static_cast<std::uint32_t>(plan_.canary.size() + plan_.baseline.size());
    }
    [[nodiscard]] bool is_canary(const Reading& reading) const {
        return reading.host < plan_.canary.size();
    }
    [[nodiscard]] const Plan& plan() const { return plan_; }
    [[nodiscard]] State& state() { return state_; }

private:
    Plan plan_;
    State state_;
    std::uint64_t looks_ = 0;
};

/// Each host with its own level, 5 % apart, and 20 % of noise.
class Latencies {
public:
    explicit Latencies(std::uint64_t seed) : random_(seed) {}
    double of(std::uint32_t host) {
        while (levels_.size() <= host) {
            levels_.push_back(0.05 * normal_(random_));
        }
        return 100 * std::exp(levels_[host] + 0.2 * normal_(random_));
    }
    double poisson(double mean) {
        return static_cast<double>(std::poisson_distribution<int>(mean)(random_));
    }

private:
    std::mt19937_64 random_;
    std::normal_distribution<> normal_;
    std::vector<double> levels_;
};

} // namespace slipway::orchestrator::judge
