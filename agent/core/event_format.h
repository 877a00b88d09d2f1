#pragma once

#include <string>
#include <string_view>

#include "common/api/sync.h"
#include "common/core/bytes.h"
#include "common/core/result.h"

namespace slipway::agent {

/// An event as the queue keeps it: one JSON object, version 1.
inline constexpr std::size_t event_bytes_max = std::size_t{32} * 1024; ///< Texts may be escaped.
[[nodiscard]] std::string encode_event(const api::AgentEvent& event);
/// Error: Errc::verification_failed, naming `what`.
[[nodiscard]] Result<api::AgentEvent> decode_event(ByteSpan json, std::string_view what);

} // namespace slipway::agent
