#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "common/core/bytes.h"
#include "common/core/result.h"

namespace slipway {

struct HttpLimits {
    std::uint64_t body_bytes_max = 1024ULL * 1024;
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::milliseconds total_timeout{60'000};
    /// Slow-drip guard: below this rate for `stall_timeout` the transfer is given up.
    std::uint64_t bytes_per_s_min = 1024;
    std::chrono::seconds stall_timeout{10};
};

/// Blocking GET over http://, https:// and file:// with keep-alive between calls (libcurl).
/// Not thread-safe. No redirects are followed. Proxies come from the usual environment variables,
/// never for loopback addresses.
class HttpClient {
public:
    HttpClient();
    ~HttpClient();
    HttpClient(HttpClient&&) noexcept;
    HttpClient& operator=(HttpClient&&) noexcept;

    /// The whole body. Errors: Errc::not_found (404, or no such file), Errc::unreachable (no
    /// connection, another status, too slow), Errc::verification_failed (longer than the limit),
    /// Errc::cancelled.
    [[nodiscard]] Result<Bytes> get(const std::string& url, const HttpLimits& limits = {},
                                    std::stop_token stop = {});

    /// Exactly the bytes [offset, offset + bytes) of the body; `bytes` is above 0 and limited by
    /// `limits.body_bytes_max`. A server that ignores the range is Errc::unreachable, a body of
    /// another length Errc::verification_failed; else as get().
    [[nodiscard]] Result<Bytes> get_range(const std::string& url, std::uint64_t offset,
                                          std::uint64_t bytes, const HttpLimits& limits = {},
                                          std::stop_token stop = {});

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace slipway
