#pragma once

#include "agent/core/seal.h"
#include "agent/io/host_layout.h"

namespace slipway::agent {

/// The key under which this service's files are sealed (ServicePaths::seal_key(), mode 0600); made
/// when it is missing or damaged: seals made before are then of no use, and nothing else happens.
/// Errors: errno.
[[nodiscard]] Result<SealKey> service_seal_key(const ServicePaths& service);

/// One that was never used. Thread-safe.
[[nodiscard]] SealNonce fresh_nonce();

} // namespace slipway::agent
