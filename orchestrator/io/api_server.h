#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "common/http/server.h"
#include "orchestrator/core/api_rules.h"

namespace slipway::orchestrator {

/// A request after its path, the caller's role and its parameters were found in order.
struct Asked {
    Matched route;
    Identity who;
    Query query;
    std::string body;            ///< Within the bound of a body.
    std::string idempotency_key; ///< Empty: none was given.
    /// A digest of what is asked for: method, path, query and body.
    std::string digest;
};

struct Answer {
    int status = 200;
    std::string body; ///< JSON, unless `type` says otherwise.
    std::string type = "application/json";
    http::Fields fields{};
};

/// {"error": {"code": "forbidden", "message": "..."}} with the status that fits.
[[nodiscard]] Answer answer_of(const Error& error);
/// `body` with a line break.
[[nodiscard]] Answer json_answer(std::string body, int status = 200);

/// What answers. Each is a coroutine on the io thread.
struct ApiHandlers {
    std::function<net::awaitable<Answer>(Asked)> answer;
    /// GET /v1/events: goes on until the peer leaves or the server stops.
    std::function<net::awaitable<void>(http::Exchange&, Asked)> watch;
};

/// The orchestrator's HTTP/JSON API over mutual TLS: the table of routes, roles, parameters,
/// bodies. What no rule refuses goes to the handlers.
///
/// Threads: everything runs on the io thread.
class ApiServer {
public:
    ApiServer(http::ServerOptions options, ApiHandlers handlers);

    /// Binds. Errors: the errno of bind(2), naming the address.
    [[nodiscard]] Result<> listen(net::io_context& io, const http::ListenAddress& address);
    [[nodiscard]] std::uint16_t port() const { return server_.port(); }
    /// The server must outlive the coroutine.
    net::awaitable<void> serve(std::stop_token stop);

private:
    http::Server server_;
};

} // namespace slipway::orchestrator
