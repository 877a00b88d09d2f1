#pragma once

#include "agent/core/install_machine.h"

namespace slipway::agent {

/// The machine's memory as one entry of the journal: JSON, version 1. It holds the whole state, so
/// that the last entry of a service says all, whatever program wrote it.
inline constexpr std::size_t install_state_bytes_max = std::size_t{256} * 1024;
[[nodiscard]] std::string encode_install_state(const InstallState& state);
/// Error: Errc::verification_failed, naming `what`. A state that no run of the machine leads to,
/// such as a step beyond its course, is refused.
[[nodiscard]] Result<InstallState> decode_install_state(ByteSpan json, std::string_view what);

} // namespace slipway::agent
