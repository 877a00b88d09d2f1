#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "common/http/server.h"
#include "common/io/asio.h"
#include "seeder/core/assigner.h"
#include "seeder/core/http_rules.h"
#include "seeder/core/tracker.h"
#include "seeder/io/seeder_metrics.h"

namespace slipway::seeder {

struct HttpServerOptions {
    std::filesystem::path repository;
    std::string region;                ///< Empty: none.
    std::uint16_t bittorrent_port = 0; ///< Of this seeder's swarm session.
    http::ServerOptions http{}; ///< No credentials: plain text, and everyone who reaches it reads.
    std::size_t push_uploads_max = 8;          ///< Of all publishers, at one time.
    std::chrono::hours push_age_max{24};       ///< An upload that nobody goes on with is removed.
    std::function<std::string()> metrics_text; ///< What /metrics answers.
};

/// Serves a repository over HTTP/1.1: files of the layout with ranges, `/announce` and `/scrape` of
/// the tracker, `/v1/swarms` (agents' calls, common/api/swarm.h), `/v1/seeder` (what this seeder
/// is, JSON), `/metrics` and `/healthz`.
///
/// With credentials publishers may push (docs/transport.md), and it speaks TLS 1.3 only, and
/// whoever has no certificate of the fleet is not answered at all, `/healthz` included. What each
/// role may ask is authorize()'s to say; a wrong role gets 403 and the reason.
///
/// Threads: everything runs on the io thread; files are read on `pool`. `tracker` and `assigner`
/// are used on the io thread only; they, `metrics` and `pool` must outlive the coroutine.
class HttpServer {
public:
    HttpServer(HttpServerOptions options, Tracker& tracker, Assigner& assigner,
               SeederMetrics& metrics, net::thread_pool& pool);

    /// Binds. Errors: the errno of bind(2), naming the address.
    [[nodiscard]] Result<> listen(net::io_context& io, const http::ListenAddress& address);
    [[nodiscard]] std::uint16_t port() const;

    /// Accepts until `stop`; then closes every connection and returns when they are gone.
    /// The server must outlive the coroutine.
    net::awaitable<void> serve(std::stop_token stop);

    /// Removes unfinished uploads that are too old, hourly, until `stop`.
    /// The server must outlive the coroutine.
    net::awaitable<void> expire_pushes(std::stop_token stop);

    struct Shared; ///< What the answers share; complete in http_shared.h.

private:
    std::shared_ptr<Shared> shared_;
    http::Server server_;
};

} // namespace slipway::seeder
