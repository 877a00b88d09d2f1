#include "orchestrator/judge/observe.h"

#include <algorithm>
#include <cmath>

namespace slipway::orchestrator::judge {
namespace {

bool is_number(double value) {
    // 2^53: beyond it adding 1 to a double changes nothing.
    return std::isfinite(value) && value >= 0 && value <= 9'007'199'254'740'992.0;
}

bool is_whole(const MetricRules& rules, const Reading& reading) {
    switch (rules.kind) {
    case Kind::count:
        return is_number(reading.amount) && is_number(reading.exposure);
    case Kind::value:
        return is_number(reading.amount);
    case Kind::quantile:
        return reading.buckets.size() == rules.bucket_bounds.size() + 1 &&
               std::ranges::all_of(reading.buckets, is_number);
    }
    return false;
}

// Straight between the bounds of the bucket in which it lies, as Prometheus has it.
double quantile_of(const MetricRules& rules, const std::vector<double>& buckets, double samples) {
    double rank = rules.quantile * samples;
    for (std::size_t i = 0; i < rules.bucket_bounds.size(); ++i) {
        if (rank <= buckets[i] && buckets[i] > 0) {
            const double low = i == 0 ? 0 : rules.bucket_bounds[i - 1];
            return low + (rules.bucket_bounds[i] - low) * rank / buckets[i];
        }
        rank -= buckets[i];
    }
    return rules.bucket_bounds.back();
}

bool began_anew(const HostState& host, const Reading& reading) {
    if (host.process != 0 && reading.process != 0 && host.process != reading.process) {
        return true;
    }
    for (std::size_t i = 0; i < host.last_buckets.size(); ++i) {
        if (reading.buckets[i] < host.last_buckets[i]) {
            return true;
        }
    }
    return reading.amount < host.last_amount || reading.exposure < host.last_exposure;
}

} // namespace

Observation observe(const MetricRules& rules, HostState& host, const Reading& reading) {
    using enum Observation::Kind;
    if (!is_whole(rules, reading) || (host.seen && reading.at_ms <= host.last_at_ms)) {
        return {};
    }
    const bool is_counter = rules.cumulative && rules.kind != Kind::value;
    const bool is_first = !host.seen;
    const bool is_reset = is_counter && !is_first && began_anew(host, reading);
    Observation seen{present, rules.kind == Kind::quantile ? 0 : reading.amount,
                     rules.kind == Kind::count ? reading.exposure : 0};
    auto buckets = reading.buckets;
    if (is_counter && !is_first && !is_reset) {
        seen.amount -= host.last_amount;
        seen.exposure -= host.last_exposure;
        for (std::size_t i = 0; i < host.last_buckets.size(); ++i) {
            buckets[i] -= host.last_buckets[i];
        }
    }
    // A reading tells of the time since the one before: that must not have been warm-up either.
    const auto told_s =
        is_first || rules.warm_up_s == 0 ? 0 : (reading.at_ms - host.last_at_ms) / 1'000;
    host.seen = true;
    host.last_at_ms = reading.at_ms;
    host.process = reading.process;
    host.last_amount = is_counter && rules.kind == Kind::count ? reading.amount : 0;
    host.last_exposure = is_counter && rules.kind == Kind::count ? reading.exposure : 0;
    if (rules.kind == Kind::quantile) {
        if (is_counter) {
            host.last_buckets = reading.buckets;
        }
        double samples = 0;
        for (const double one : buckets) {
            samples += one;
        }
        if (samples < rules.samples_min || samples <= 0) {
            seen.kind = absent;
        } else {
            seen.amount = quantile_of(rules, buckets, samples);
        }
    }
    if (reading.running_s < rules.warm_up_s + told_s || (is_counter && is_first)) {
        seen.kind = warming;
    } else if (is_reset) {
        seen.kind = absent;
    }
    return seen;
}

} // namespace slipway::orchestrator::judge
