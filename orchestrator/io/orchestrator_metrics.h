#pragma once

#include <chrono>
#include <string>

#include "common/metrics/metrics.h"

namespace slipway::orchestrator {

/// What an orchestrator measures of itself (docs/metrics.md). May be used from any thread.
class OrchestratorMetrics {
public:
    OrchestratorMetrics();

    void connection_opened() { connections_.Increment(); }
    void connection_closed() { connections_.Decrement(); }
    void synced() { syncs_.Increment(); }
    void committed(std::size_t records, std::chrono::duration<double> took);
    void commit_failed() { commit_failures_.Increment(); }
    void driving(bool is_driving) { driving_.Set(is_driving ? 1 : 0); }
    void hosts(std::size_t known, std::size_t lost);
    void deployments(std::size_t active) { deployments_.Set(static_cast<double>(active)); }

    /// The text for a scrape.
    [[nodiscard]] std::string text() const { return metrics_.text(); }

private:
    Metrics metrics_;
    prometheus::Gauge& connections_;
    prometheus::Gauge& driving_;
    prometheus::Gauge& hosts_;
    prometheus::Gauge& lost_;
    prometheus::Gauge& deployments_;
    prometheus::Counter& syncs_;
    prometheus::Counter& commits_;
    prometheus::Counter& records_;
    prometheus::Counter& commit_seconds_;
    prometheus::Counter& commit_failures_;
};

} // namespace slipway::orchestrator
