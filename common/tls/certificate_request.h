#pragma once

#include <filesystem>
#include <string>

#include "common/core/result.h"
#include "common/core/sha256.h"
#include "common/tls/enrollment.h"

namespace slipway::tls {

/// The host's half of an enrollment in a directory: key.pem (mode 0600; made if it is not there, so
/// that a repeated enrollment asks with the same key), and a request signed with it.
/// Errors: the disk's; Errc::failed for a key that cannot be read.
[[nodiscard]] Result<std::string> make_certificate_request(const std::filesystem::path& directory);

/// Writes what the authority answered: ca.pem, then cert.pem.
/// Error: Errc::verification_failed unless the certificate is of the directory's key, and by that
/// authority.
[[nodiscard]] Result<Identity> accept_certificate(const std::filesystem::path& directory,
                                                  const EnrollReply& reply);

} // namespace slipway::tls
