#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/api/sync.h"
#include "orchestrator/core/gate_answers.h"
#include "orchestrator/judge/judge.h"

namespace slipway::orchestrator {

/// What each host said last of its metrics. Pure; of one thread.
class MetricBoard {
public:
    void take(const std::string& host, std::vector<api::MetricReport> metrics, std::uint64_t at_ms);
    void forget(const std::string& host) { hosts_.erase(host); }
    void clear() { hosts_.clear(); }

    /// The readings of a plan's hosts for those of its metrics that have no query.
    [[nodiscard]] std::vector<judge::Reading> readings(const judge::Plan& plan,
                                                       const std::string& service) const;

private:
    struct Said {
        std::uint64_t at_ms = 0;
        std::vector<api::MetricReport> metrics;
    };
    std::unordered_map<std::string, Said> hosts_;
};

/// What two queries of a metric gave, as readings: one sample of each host, which the label
/// `host_label` names, with or without a port. Hosts that several samples name have none. `amount`
/// and `exposure` without data give nothing. `baked_s`: how long the canary has run its release.
[[nodiscard]] std::vector<judge::Reading>
readings_of_samples(const judge::Plan& plan, std::uint32_t metric, const std::string& host_label,
                    const MetricReading& amount, const MetricReading& exposure, std::uint64_t at_ms,
                    std::uint64_t baked_s);

} // namespace slipway::orchestrator
