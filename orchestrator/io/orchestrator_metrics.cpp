#include "orchestrator/io/orchestrator_metrics.h"

namespace slipway::orchestrator {

OrchestratorMetrics::OrchestratorMetrics()
    : connections_(metrics_.gauge("slipway_orchestrator_connections", "Open connections")),
      driving_(metrics_.gauge("slipway_orchestrator_driving",
                              "1 if this orchestrator holds the lease, else 0")),
      hosts_(metrics_.gauge("slipway_orchestrator_hosts", "Hosts that are known")),
      lost_(metrics_.gauge("slipway_orchestrator_hosts_lost",
                           "Hosts that were heard of and are not now")),
      deployments_(metrics_.gauge("slipway_orchestrator_deployments_active",
                                  "Deployments that are not over")),
      syncs_(metrics_.counter("slipway_orchestrator_syncs_total", "Requests of agents answered")),
      commits_(metrics_.counter("slipway_orchestrator_commits_total",
                                "Transactions of the log committed")),
      records_(
          metrics_.counter("slipway_orchestrator_records_total", "Records of the log committed")),
      commit_seconds_(
          metrics_.counter("slipway_orchestrator_commit_seconds_total", "Time that commits took")),
      commit_failures_(metrics_.counter("slipway_orchestrator_commit_failures_total",
                                        "Commits that ended a term")) {}

void OrchestratorMetrics::committed(std::size_t records, std::chrono::duration<double> took) {
    commits_.Increment();
    records_.Increment(static_cast<double>(records));
    commit_seconds_.Increment(took.count());
}

void OrchestratorMetrics::hosts(std::size_t known, std::size_t lost) {
    hosts_.Set(static_cast<double>(known));
    lost_.Set(static_cast<double>(lost));
}

} // namespace slipway::orchestrator
