#pragma once

#include <chrono>
#include <filesystem>

#include "common/http/exchange.h"

namespace slipway::http {

inline constexpr const char* enroll_path = "/v1/enroll";

/// Answers `POST /v1/enroll` (common/tls/enrollment.h) with the authority in `authority`. It needs
/// no TLS: request and answer prove by their MACs who made them. Other paths: 404, but `/healthz`.
/// `authority` and `pool` must outlive the coroutine.
net::awaitable<void> answer_enrollment(Exchange& exchange, const std::filesystem::path& authority,
                                       std::chrono::days valid, net::thread_pool& pool);

} // namespace slipway::http
