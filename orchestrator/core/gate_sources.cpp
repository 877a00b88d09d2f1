#include "orchestrator/core/gate_sources.h"

#include <algorithm>

#include "common/core/errc.h"

namespace slipway::orchestrator {
namespace {

bool asks_prometheus(const GateSpec& gate) {
    return gate.kind == GateKind::metric ||
           (gate.kind == GateKind::compare &&
            std::ranges::any_of(gate.metrics, [](const judge::MetricRules& metric) {
                return !metric.query.empty();
            }));
}

} // namespace

Result<PrometheusConfig> prometheus_of(const GateSpec& gate,
                                       const std::map<std::string, PrometheusConfig>& servers) {
    const auto refuse = [&](const std::string& why) {
        return fail(Errc::usage, "gate '" + printable(gate.name) + "': " + why);
    };
    if (!gate.server.empty()) {
        const auto found = servers.find(gate.server);
        return found == servers.end()
                   ? refuse("no Prometheus server '" + printable(gate.server) +
                            "' in the orchestrator's configuration ([prometheus.NAME])")
                   : Result<PrometheusConfig>(found->second);
    }
    if (servers.empty()) {
        return refuse("no Prometheus server in the orchestrator's configuration "
                      "([prometheus.NAME])");
    }
    if (servers.size() > 1) {
        return refuse("the orchestrator's configuration has " + std::to_string(servers.size()) +
                      " Prometheus servers; name one with `server`");
    }
    return servers.begin()->second;
}

Result<> check_servers(const Strategy& strategy,
                       const std::map<std::string, PrometheusConfig>& servers) {
    for (const auto& gate : strategy.gates) {
        if (!asks_prometheus(gate) || (gate.server.empty() && servers.empty())) {
            continue;
        }
        if (const auto server = prometheus_of(gate, servers); !server) {
            return tl::unexpected(server.error());
        }
    }
    return {};
}

} // namespace slipway::orchestrator
