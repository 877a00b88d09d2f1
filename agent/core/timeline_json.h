#pragma once

#include <nlohmann/json_fwd.hpp>

#include "agent/core/timeline.h"

namespace slipway::agent {

/// A timeline as decode_timelines() reads it, with its sum (`total_ms`) and reasons_of() for
/// people.
[[nodiscard]] nlohmann::json timeline_json(const Timeline& timeline);

} // namespace slipway::agent
