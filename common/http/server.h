#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "common/http/exchange.h"
#include "common/http/half_open.h"
#include "common/http/listen_address.h"
#include "common/tls/credentials.h"

namespace slipway::http {

struct ServerOptions {
    std::size_t connections_max = 2'000; ///< Beyond it new connections are closed at once.
    std::chrono::seconds idle_timeout{60};
    /// The TLS of this server; none: plain text, and requests have no peer.
    std::shared_ptr<tls::Credentials> credentials{};
    HalfOpen::Limits half_open{}; ///< Of connections whose TLS handshake is not done.
    std::chrono::seconds handshake_timeout{10};
    /// A certificate is looked at when a connection begins; so it does not stand for ever. Each
    /// connection takes between three quarters and all of it: those that began together (after a
    /// restart) must not come back together.
    std::chrono::seconds connection_age_max{600};
    std::chrono::seconds send_timeout{30}; ///< For each write, and each read of a body.
    std::chrono::seconds body_timeout{30}; ///< For a whole body that is read at once.
    std::function<void()> opened{};        ///< Called for each connection, if set,
    std::function<void()> closed{};        ///< and when it is gone.
};

/// Serves HTTP/1.1 with keep-alive: accepts, lets peers show who they are, reads requests and has
/// them answered by `handler`, one after the other on each connection.
///
/// With credentials it speaks TLS 1.3 only, and whoever has no certificate of the fleet is not
/// answered at all. When the credentials' files change, or a connection is too old, its answer in
/// progress is sent whole and it is closed then, so that the next one is checked anew.
///
/// Threads: everything runs on the io thread.
class Server {
public:
    Server(ServerOptions options, Handler handler);

    /// Binds. Errors: the errno of bind(2), naming the address.
    [[nodiscard]] Result<> listen(net::io_context& io, const ListenAddress& address);
    [[nodiscard]] std::uint16_t port() const;

    /// Accepts until `stop`; then closes every connection and returns. The coroutines of
    /// connections end by themselves, so the io_context runs dry.
    /// The server must outlive the coroutine.
    net::awaitable<void> serve(std::stop_token stop);

    struct Shared; ///< What the connections share; complete in connection.h.

private:
    std::shared_ptr<Shared> shared_;
};

} // namespace slipway::http
