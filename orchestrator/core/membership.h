#pragma once

#include <string>
#include <vector>

#include "orchestrator/core/fleet_state.h"

namespace slipway::orchestrator {

/// Which environments a host belongs to, by its labels. A host stays in an environment as long as a
/// deployment there has it on its list, whatever its labels become.
void update_membership(Durable& log, const std::string& host);
/// The same for all hosts and one service. Gives those for which something changed.
std::vector<std::string> update_memberships(Durable& log, const std::string& service);

} // namespace slipway::orchestrator
