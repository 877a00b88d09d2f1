#pragma once

#include <map>
#include <optional>
#include <string>

#include "agent/core/install_machine.h"

namespace slipway::agent {

struct ServiceView {
    const InstallState* state = nullptr;
    std::optional<std::int64_t> waits_ms; ///< Until the step is tried again.
};

/// What the daemon says about its services: one line of JSON, version 1. docs/agent.md lists the
/// fields.
[[nodiscard]] std::string encode_daemon_status(const std::map<std::string, ServiceView>& services);

} // namespace slipway::agent
