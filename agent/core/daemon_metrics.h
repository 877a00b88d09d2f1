#pragma once

#include <string>

#include "agent/core/daemon_status.h"

namespace slipway::agent {

/// What the daemon measures, in Prometheus' text format 0.0.4. docs/metrics.md has the names.
[[nodiscard]] std::string daemon_metrics(const DaemonView& view);

} // namespace slipway::agent
