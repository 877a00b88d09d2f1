#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/transfer_limits.h"
#include "common/config/document.h"
#include "common/format/run_spec.h"

namespace slipway::agent {

struct ServiceConfig {
    std::optional<RunSpec> run; ///< How it runs on this host; none: as the release's manifest says.
    /// PEM file of the authorities that https probes believe; empty: those of the system.
    std::string probe_authority = {};
    bool operator==(const ServiceConfig&) const = default;
};

/// /etc/slipway/agent.toml.
struct AgentConfig {
    std::string root = "/var/lib/slipway";
    std::string trust; ///< Root metadata to trust; needed until the first refresh.
    std::vector<std::string> seeders;
    std::string listen; ///< "IP:PORT" for peers.
    /// Socket of slipway-installer, which then builds and switches; empty: this process does.
    std::string installer;
    std::chrono::seconds patience{30};
    config::TlsPaths tls;
    std::string metrics; ///< "IP:PORT" that answers with metrics, beside ROOT/metrics.sock.
    TransferLimits limits;
    std::uint64_t packs_bytes_max = 0; ///< On the disk; 0: no quota.
    /// Of a service, beside those that are current, previous, last good or staged.
    std::uint64_t releases_kept = 2;
    std::vector<std::string> orchestrators;    ///< URLs; empty: what is wanted comes from a file.
    std::map<std::string, std::string> labels; ///< Of this host, for the orchestrator.
    std::map<std::string, ServiceConfig> services;
};

/// What differs between the configuration that a daemon runs with and one that was read later.
struct ConfigChange {
    bool limits = false;               ///< Rates, their windows, and the quota.
    std::vector<std::string> services; ///< How they run on this host.
    std::vector<std::string> restart;  ///< Keys that count from the next start only.
};
[[nodiscard]] ConfigChange compare(const AgentConfig& before, const AgentConfig& after);

/// Takes the keys of the file; what is wrong is complained of in `table`.
[[nodiscard]] AgentConfig read_agent_config(config::Table& table);
/// The same from a text. Errors: Errc::usage, naming `what`, and key and line of each mistake.
[[nodiscard]] Result<AgentConfig> parse_agent_config(std::string_view text, std::string_view what);

} // namespace slipway::agent
