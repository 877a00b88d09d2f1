#pragma once

#include <map>
#include <optional>
#include <string>

#include "agent/core/install_machine.h"
#include "agent/core/timeline.h"
#include "agent/core/transfer_limits.h"

namespace slipway::agent {

struct ServiceView {
    const InstallState* state = nullptr;
    std::optional<std::int64_t> waits_ms;   ///< Until the step is tried again.
    std::optional<Timeline> installation{}; ///< The last one, over or not.
};

/// What a daemon's packs and their swarms are doing.
struct SharingStatus {
    std::uint64_t packs = 0; ///< Shared.
    std::uint64_t peers = 0; ///< Connected, over all swarms.
    std::uint64_t uploaded_bytes = 0;
    std::uint64_t downloaded_bytes = 0;
    std::uint64_t evicted_packs = 0;
    Rates limits;
};

/// How the host stands with its orchestrators.
struct UpstreamStatus {
    std::string url; ///< Who is asked, or was last.
    bool is_connected = false;
    std::int64_t since_unix_s = 0;    ///< Connected, or not.
    std::int64_t answered_unix_s = 0; ///< When the last answer came; 0: none yet.
    std::uint64_t epoch = 0;          ///< The highest that was obeyed.
    std::uint64_t generation = 0;
    std::uint64_t events_queued = 0;
    std::uint64_t events_dropped = 0; ///< Since the daemon started, as are the next two.
    std::uint64_t answers = 0;
    std::uint64_t failures = 0;
    std::string error; ///< Why the last call failed.
};

struct DaemonView {
    std::string version;
    std::int64_t started_unix_s = 0;
    SharingStatus sharing;
    Rates rates; ///< Of the last seconds.
    std::map<std::string, ServiceView> services;
    std::optional<UpstreamStatus> upstream{}; ///< None: there is no orchestrator.
};

/// What the daemon says about itself and its services: one line of JSON, version 1. docs/agent.md
/// lists the fields.
[[nodiscard]] std::string encode_daemon_status(const DaemonView& view);

/// The same for a glance, as `systemctl status` shows it: "web healthy (web@1.2); api staging
/// (failed tries: 2)". One line of some hundred bytes at most.
[[nodiscard]] std::string daemon_summary(const DaemonView& view);

} // namespace slipway::agent
