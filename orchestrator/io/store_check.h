#pragma once

#include "orchestrator/io/store.h"

namespace slipway::orchestrator {

/// Whether `changes` keep the limits, hold text that both databases take (UTF-8 without NUL), and
/// change no document twice. Error: Errc::usage; it names the record or key.
[[nodiscard]] Result<> check_changes(const Changes& changes, const StoreLimits& limits);
[[nodiscard]] Result<> check_events(const std::vector<HostEvent>& events,
                                    const StoreLimits& limits);
/// `what` names it in the error.
[[nodiscard]] Result<> check_key(std::string_view key, std::string_view what,
                                 const StoreLimits& limits);

} // namespace slipway::orchestrator
