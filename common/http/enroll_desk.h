#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <stop_token>

#include "common/http/server.h"

namespace slipway::http {

struct EnrollOptions {
    std::filesystem::path authority;    ///< Directory of `slipway ca init`.
    std::chrono::days certificates{90}; ///< How long they are valid.
};

/// Answers hosts that enroll: `POST /v1/enroll` (common/tls/enrollment.h). It needs no TLS: request
/// and answer prove by their MACs who made them. Other paths: 404, but `/healthz`.
///
/// Threads: everything runs on the io thread, but the authority's work, which has one of its own.
class EnrollDesk {
public:
    explicit EnrollDesk(EnrollOptions options);

    /// Binds, having looked that the authority is there. Errors: those of tls::Authority::open();
    /// the errno of bind(2), naming the address.
    [[nodiscard]] Result<> listen(net::io_context& io, const ListenAddress& address);
    [[nodiscard]] std::uint16_t port() const { return server_.port(); }
    /// Until `stop`. The desk must outlive the coroutine.
    net::awaitable<void> serve(std::stop_token stop) { return server_.serve(std::move(stop)); }

private:
    net::awaitable<void> answer(Exchange& exchange);

    EnrollOptions options_;
    net::thread_pool pool_{1}; // The authority's directory has room for one at a time.
    Server server_;
};

} // namespace slipway::http
