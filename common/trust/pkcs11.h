#pragma once

#include <string>

#include "common/core/result.h"
#include "common/trust/keys.h"

namespace slipway::trust {

/// A private key in a PKCS#11 token (smart card, HSM, SoftHSM), through OpenSSL's engine `pkcs11`
/// (Debian: libengine-pkcs11-openssl). The key stays in the token; ECDSA P-256 and RSA.
///
/// `uri` is RFC 7512's, as `p11tool --list-tokens` prints it, with two query attributes that are
/// taken out here: `module-path=FILE`, the token's library (without it: what p11-kit is set up
/// with), and `pin-source=file:FILE` or `pin-source=FILE`, a file with the PIN that only its owner
/// can read. A `pin-value` is refused: the URI is no place for a secret.
///
/// The engine stays loaded until the process ends. Not thread-safe. Errors: Errc::usage for a
/// malformed URI, Errc::failed if there is no engine, library or such key.
[[nodiscard]] Result<SigningKey> load_pkcs11_key(const std::string& uri);

} // namespace slipway::trust
