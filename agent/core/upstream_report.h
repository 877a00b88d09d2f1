#pragma once

#include <cstdint>

#include "agent/core/install_machine.h"
#include "common/api/sync.h"

namespace slipway::agent {

/// How the process of a service does.
struct ServiceHealth {
    bool is_down = false;      ///< It will not come back by itself.
    std::uint64_t crashes = 0; ///< Ends of a command that the daemon keeps; only differences count.
    std::uint64_t restarts = 0; ///< By systemd, of a unit.
    bool operator==(const ServiceHealth&) const = default;
};

/// What the host says of a service: its state in the words of docs/api/agents.yaml. It is ready
/// when what runs held its probe and nothing is under way that stops it. Pure.
[[nodiscard]] api::ServiceReport service_report(const InstallState& state,
                                                const ServiceHealth& health,
                                                std::uint64_t running_since_ms);

/// "web@1.2 (web-1.2-0a1b…): why", for an event.
[[nodiscard]] std::string event_text(const Report& report);

} // namespace slipway::agent
