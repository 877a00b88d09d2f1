#pragma once

#include <string>

#include "cli/command.h"
#include "cli/orchestrator_client.h"

namespace slipway::cli {

/// Shows a deployment as it goes, until it is over: on a terminal a tree that is drawn again,
/// elsewhere a line for each change of its phase or of what it waits for; with --json one object
/// for each change. A take-over of the orchestrator is waited for. `wants_back`: it was asked to go
/// back. Error: Errc::failed when it did not end as it should, Errc::cancelled.
[[nodiscard]] Result<> follow(OrchestratorClient& client, const std::string& id,
                              const Context& context, bool wants_back = false);

} // namespace slipway::cli
