#pragma once

// Included by this room's .cpp files only.

#include <chrono>

#include "common/tls/authority.h"
#include "common/tls/openssl.h"

namespace slipway::tls {

/// Clocks of a fleet differ: what is signed is valid from a little before.
constexpr std::chrono::minutes backdated{5};

/// The two halves of an authority that sign.
struct Signer {
    CertificateHandle certificate;
    KeyHandle key;
};

[[nodiscard]] Result<KeyHandle> generate_key(KeyAlgorithm algorithm);
[[nodiscard]] Result<CertificateHandle> make_authority_certificate(const AuthorityRequest& request,
                                                                   EVP_PKEY* key,
                                                                   std::chrono::sys_seconds now);
/// Error: Errc::usage for a malformed name or address.
[[nodiscard]] Result<CertificateHandle> make_certificate(const Signer& signer,
                                                         const IssueRequest& request, EVP_PKEY* key,
                                                         std::chrono::sys_seconds now);
/// The public key of a PEM certificate request that is signed with it: P-256 or Ed25519.
/// Error: Errc::verification_failed.
[[nodiscard]] Result<KeyHandle> key_of_request(const std::string& pem);
[[nodiscard]] Result<CrlHandle> make_list(const Signer& signer, const IssuedIndex& index,
                                          std::chrono::days valid, std::chrono::sys_seconds now);

[[nodiscard]] std::string serial_of(X509* certificate);
[[nodiscard]] std::chrono::sys_seconds end_of(X509* certificate);

} // namespace slipway::tls
