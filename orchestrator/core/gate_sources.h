#pragma once

#include <map>
#include <string>

#include "orchestrator/core/orchestrator_config.h"
#include "orchestrator/core/strategy.h"

namespace slipway::orchestrator {

/// The configured server that a gate asks: the one that it names, or the only one. Error:
/// Errc::usage, naming the gate.
[[nodiscard]] Result<PrometheusConfig>
prometheus_of(const GateSpec& gate, const std::map<std::string, PrometheusConfig>& servers);

/// Whether each gate of a strategy that names a server, or has to, names one that there is. Without
/// any server a gate that names none is let be: it holds. Error: Errc::usage, naming the gate.
[[nodiscard]] Result<> check_servers(const Strategy& strategy,
                                     const std::map<std::string, PrometheusConfig>& servers);

} // namespace slipway::orchestrator
