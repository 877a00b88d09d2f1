#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "common/core/result.h"

namespace slipway::agent {

/// How a service is restarted and asked whether it is well. An empty command is a step that has
/// nothing to do. Commands are run without a shell, in the directory of the release.
struct ServiceConfig {
    std::vector<std::string> restart;
    std::vector<std::string> probe; ///< Exit status 0: ready.
    std::chrono::seconds restart_deadline{60};
    std::chrono::seconds probe_timeout{5};   ///< Of one call of `probe`.
    std::chrono::seconds start_period{30};   ///< Within it the service must become ready.
    std::chrono::seconds bake{0};            ///< So long it must stay ready.
    std::chrono::milliseconds interval{500}; ///< Between two probes.
    unsigned successes = 1;                  ///< In a row, to be ready.
    unsigned failures = 3;                   ///< In a row, to fail its bake.
};

/// /etc/slipway/agent.toml.
struct AgentConfig {
    std::string root = "/var/lib/slipway";
    std::string trust; ///< Root metadata to trust; needed until the first refresh.
    std::vector<std::string> seeders;
    std::string listen; ///< "IP:PORT" for peers.
    std::chrono::seconds patience{30};
    std::string tls_certificate, tls_key, tls_authority, tls_revoked;
    std::map<std::string, ServiceConfig> services;
};

inline constexpr std::size_t agent_config_bytes_max = 256 * 1024;
/// Errors: Errc::usage, naming `what`, the key and the line. Unknown keys are refused: a misspelt
/// limit would be no limit.
[[nodiscard]] Result<AgentConfig> parse_agent_config(std::string_view text, std::string_view what);

} // namespace slipway::agent
