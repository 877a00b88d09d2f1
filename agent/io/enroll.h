#pragma once

#include <filesystem>
#include <stop_token>
#include <string>

#include "common/core/identity.h"

namespace slipway::agent {

struct EnrollOptions {
    std::string url;           ///< Of the orchestrator or authority: http://HOST:PORT.
    std::string token;         ///< As `slipway ca token` printed it.
    std::filesystem::path out; ///< Directory for key.pem, cert.pem and ca.pem.
};

/// Gets this host its certificate (common/tls/enrollment.h) and says who it is. May be repeated:
/// the key stays, and an answer that was lost is given again. Errors: Errc::usage (the token's
/// form), Errc::forbidden (a token that is not known, expired or used by another key),
/// Errc::verification_failed (an answer that was not made with the token, or not for this key),
/// Errc::unreachable; the disk's.
[[nodiscard]] Result<Identity> enroll(const EnrollOptions& options, const std::stop_token& stop);

} // namespace slipway::agent
