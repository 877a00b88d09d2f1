#include "orchestrator/core/metric_board.h"

#include <algorithm>
#include <limits>

namespace slipway::orchestrator {
namespace {

/// By host: the sample's value, or NaN if several samples are of one host.
std::map<std::string, double> by_host(const MetricReading& reading, const std::string& label) {
    std::map<std::string, double> out;
    for (const auto& sample : reading.samples) {
        const auto found = sample.labels.find(label);
        if (found == sample.labels.end()) {
            continue;
        }
        const auto [place, is_new] =
            out.emplace(found->second.substr(0, found->second.find(':')), sample.value);
        if (!is_new) {
            place->second = judge::no_number;
        }
    }
    return out;
}

const std::string& host_at(const judge::Plan& plan, std::size_t place) {
    return place < plan.canary.size() ? plan.canary[place]
                                      : plan.baseline[place - plan.canary.size()];
}

} // namespace

void MetricBoard::take(const std::string& host, std::vector<api::MetricReport> metrics,
                       std::uint64_t at_ms) {
    if (metrics.empty()) {
        forget(host);
        return;
    }
    hosts_[host] = {at_ms, std::move(metrics)};
}

std::vector<judge::Reading> MetricBoard::readings(const judge::Plan& plan,
                                                  const std::string& service) const {
    std::vector<judge::Reading> out;
    for (std::size_t place = 0; place < plan.canary.size() + plan.baseline.size(); ++place) {
        const auto said = hosts_.find(host_at(plan, place));
        if (said == hosts_.end()) {
            continue;
        }
        for (const auto& one : said->second.metrics) {
            const auto rules =
                std::ranges::find_if(plan.metrics, [&](const judge::MetricRules& metric) {
                    return metric.query.empty() && one.service == service &&
                           one.name == metric.name && one.kind == to_string(metric.kind);
                });
            if (rules == plan.metrics.end()) {
                continue;
            }
            out.push_back({.host = static_cast<std::uint32_t>(place),
                           .metric = static_cast<std::uint32_t>(rules - plan.metrics.begin()),
                           .at_ms = said->second.at_ms,
                           .running_s = one.running_s,
                           .process = one.process,
                           .amount = one.amount,
                           .exposure = one.exposure,
                           .buckets = one.buckets});
        }
    }
    return out;
}

std::vector<judge::Reading> readings_of_samples(const judge::Plan& plan, std::uint32_t metric,
                                                const std::string& host_label,
                                                const MetricReading& amount,
                                                const MetricReading& exposure, std::uint64_t at_ms,
                                                std::uint64_t baked_s) {
    const auto amounts = by_host(amount, host_label);
    const auto exposures = by_host(exposure, host_label);
    std::vector<judge::Reading> out;
    for (std::size_t place = 0; place < plan.canary.size() + plan.baseline.size(); ++place) {
        const auto found = amounts.find(host_at(plan, place));
        const auto among = exposures.find(host_at(plan, place));
        if (found == amounts.end()) {
            continue;
        }
        // The baseline has run its release since before this deployment.
        constexpr std::uint64_t long_ago = std::numeric_limits<std::uint32_t>::max();
        out.push_back({.host = static_cast<std::uint32_t>(place),
                       .metric = metric,
                       .at_ms = at_ms,
                       .running_s = place < plan.canary.size() ? baked_s : long_ago,
                       .amount = found->second,
                       .exposure = among == exposures.end() ? judge::no_number : among->second});
    }
    return out;
}

} // namespace slipway::orchestrator
