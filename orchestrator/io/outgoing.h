#pragma once

#include <chrono>
#include <filesystem>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.h"
#include "common/io/http_client.h"

namespace slipway::orchestrator {

/// The secret in a file of one line (at most 4 KiB, not readable for others): its bytes without the
/// line break. Read for each use, so that a new one counts at once. Errors: errno, Errc::usage.
[[nodiscard]] Result<std::string> read_secret(const std::filesystem::path& file);

/// A client that trusts the authorities in `ca_file` (PEM), or the system's if it is empty.
/// Error: Errc::usage, as OpenSSL says it.
[[nodiscard]] Result<HttpClient> make_outgoing_client(const std::filesystem::path& ca_file);

/// The three headers of a signed message, as Standard Webhooks 1.0.0 defines them:
/// `webhook-signature` is "v1," and the base64 of HMAC-SHA256 over "ID.TIMESTAMP.BODY". A secret
/// that begins with "whsec_" is base64, any other its own bytes. Error: Errc::usage.
[[nodiscard]] Result<std::vector<std::string>> sign_headers(const std::string& id,
                                                            std::int64_t at_unix_s,
                                                            std::string_view body,
                                                            std::string_view secret);

/// Waits for `delay`; returns false at once when a stop is requested.
[[nodiscard]] bool wait_for(std::chrono::milliseconds delay, const std::stop_token& stop);

} // namespace slipway::orchestrator
