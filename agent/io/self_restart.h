#pragma once

#include "agent/io/host_layout.h"
#include "agent/io/unit_control.h"

namespace slipway::agent {

enum class SelfRestart {
    other, ///< The unit is not the one that this process runs in.
    due,   ///< It is, and its restart ends this process; the next one finds it `done`.
    done,  ///< This process runs the release's program already.
};

/// What a restart of `unit` for `release` means to this process: the agent is a service like any
/// other (docs/agent.md), whose restart it cannot wait for.
/// Error: Errc::failed when the unit's ExecStart= does not lead to the release: its restart would
/// never bring the release up, and would be asked for again for ever.
[[nodiscard]] Result<SelfRestart> self_restart(const UnitStatus& unit, const ServicePaths& service,
                                               const ReleaseId& release);

} // namespace slipway::agent
