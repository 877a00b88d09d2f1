#pragma once

#include <optional>

#include "orchestrator/core/json_body.h"
#include "orchestrator/core/strategy.h"

namespace slipway::orchestrator {

/// The strategy that a request's body names (`strategy`) or carries (`strategy_text`), if any.
/// Error: Errc::usage.
[[nodiscard]] Result<std::optional<Strategy>> strategy_of(JsonBody& body);

} // namespace slipway::orchestrator
