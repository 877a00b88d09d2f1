#pragma once

#include <filesystem>
#include <stop_token>
#include <vector>

#include "agent/core/agent_config.h"
#include "agent/io/host_install.h"

namespace slipway::agent {

class ConfigReload;
class DaemonListener;
class DesiredSource;

struct DaemonOptions {
    AgentConfig config;
    /// Watched; read again whenever it is replaced or written. Empty: there is no such file.
    std::filesystem::path desired;
    InstallRequest install; ///< Seeders, trust and TLS for every service.
    /// Beside the file and the orchestrators of the configuration. They outlive the daemon; so do
    /// the listeners.
    std::vector<DesiredSource*> sources{};
    std::vector<DaemonListener*> listeners{};
    std::filesystem::path hook_cgroups{}; ///< See divide_own_cgroup().
    ConfigReload* reload = nullptr; ///< Outlives the daemon as well; null: nobody asks for that.
};

/// Brings the services of a host to what the desired state says and keeps them there, until a stop
/// is requested. One loop decides (agent/core/install_machine.h); each service has one thread at a
/// time that works. What a service's machine decided is in ROOT/journal before it takes effect, so
/// that the daemon may be killed at any instant.
///
/// ROOT/agent.sock gives whoever connects one line of JSON: encode_daemon_status().
///
/// A desired state that cannot be read, and seeders that are gone, change nothing that runs.
/// Errors: Errc::busy when another daemon has this root; what Journal::open() says; an errno.
[[nodiscard]] Result<> run_daemon(const DaemonOptions& options, const std::stop_token& stop);

} // namespace slipway::agent
