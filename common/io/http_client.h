#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/result.h"

struct ssl_ctx_st; // OpenSSL's SSL_CTX.

namespace slipway {

/// How https connections prove who is at both ends, where libcurl's defaults (the system's
/// authorities, no certificate of our own) do not do. Thread-safe: clients of several threads share
/// one.
class HttpTls {
public:
    virtual ~HttpTls() = default;
    /// Sets up a new connection before its handshake. When the handshake refuses the server, the
    /// reason is written to `refusal`, which outlives the handshake.
    [[nodiscard]] virtual Result<> prepare(ssl_ctx_st* context, std::string& refusal) = 0;
};

/// Times are taken as 1 ms (1 s) at least and a week at most.
struct HttpLimits {
    std::uint64_t body_bytes_max = 1024ULL * 1024;
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::milliseconds total_timeout{60'000};
    /// Slow-drip guard: below this rate for `stall_timeout` the transfer is given up.
    std::uint64_t bytes_per_s_min = 1024;
    std::chrono::seconds stall_timeout{10};
};

/// What a request carries to the server.
struct HttpUpload {
    const char* method = "PUT"; ///< "PUT" or "POST".
    ByteSpan body;
    std::string content_range; ///< Header value, or empty.
};

/// Any request, where the status of the reply is for the caller to judge.
struct HttpRequest {
    std::string method = "GET";
    std::string body{};
    std::string type = "application/json";
    std::vector<std::string> headers{}; ///< Further ones: "Idempotency-Key: 7f".
};

struct HttpReply {
    int status = 0;
    Bytes body;
};

/// Blocking requests over http://, https:// and file:// with keep-alive between calls (libcurl).
/// An https server is checked before any byte of a request is sent: by `tls` if one is given (its
/// name is checked too), else against the system's authorities.
/// Not thread-safe. No redirects are followed. Proxies come from the usual environment variables,
/// never for loopback addresses.
class HttpClient {
public:
    explicit HttpClient(std::shared_ptr<HttpTls> tls = nullptr);
    ~HttpClient();
    HttpClient(HttpClient&&) noexcept;
    HttpClient& operator=(HttpClient&&) noexcept;

    /// The whole body. Errors: Errc::not_found (404, or no such file), Errc::unreachable (no
    /// connection, another status, too slow), Errc::verification_failed (longer than the limit, or
    /// a server whose certificate is refused), Errc::forbidden (403, or a server that refuses our
    /// certificate; the context says why), Errc::cancelled.
    [[nodiscard]] Result<Bytes> get(const std::string& url, const HttpLimits& limits = {},
                                    std::stop_token stop = {});

    /// Exactly the bytes [offset, offset + bytes) of the body; `bytes` is above 0 and limited by
    /// `limits.body_bytes_max`. A server that ignores the range is Errc::unreachable, a body of
    /// another length Errc::verification_failed; else as get().
    [[nodiscard]] Result<Bytes> get_range(const std::string& url, std::uint64_t offset,
                                          std::uint64_t bytes, const HttpLimits& limits = {},
                                          std::stop_token stop = {});

    /// Sends `upload` and gives the body of the reply. Errors: as for get(); further
    /// Errc::verification_failed for 422 and Errc::failed for 409, with the server's reason.
    /// `limits.bytes_per_s_min` counts while the server works on its reply, too.
    [[nodiscard]] Result<Bytes> send(const std::string& url, const HttpUpload& upload,
                                     const HttpLimits& limits = {}, std::stop_token stop = {});

    /// Makes `request` and gives the reply whatever its status is. With `on_part`, the body of a
    /// 2xx reply is given to it as it comes, without bound, and not kept; it returns whether to go
    /// on. Errors: as for get(), but for those that come from a status; Errc::cancelled also if
    /// `on_part` had enough.
    [[nodiscard]] Result<HttpReply> request(const std::string& url, const HttpRequest& request,
                                            const HttpLimits& limits = {},
                                            std::stop_token stop = {},
                                            std::function<bool(ByteSpan)> on_part = {});

    struct State; ///< Complete in the .cpp only.

private:
    std::unique_ptr<State> state_;
};

} // namespace slipway
