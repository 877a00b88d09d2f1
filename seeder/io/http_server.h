#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "common/io/asio.h"
#include "seeder/core/http_rules.h"
#include "seeder/core/tracker.h"
#include "seeder/io/seeder_metrics.h"

namespace slipway::seeder {

struct HttpServerOptions {
    std::filesystem::path repository;
    std::string region;                  ///< Empty: none.
    std::uint16_t bittorrent_port = 0;   ///< Of this seeder's swarm session.
    std::size_t connections_max = 2'000; ///< Beyond it new connections are closed at once.
    std::chrono::seconds idle_timeout{60};
    std::chrono::seconds send_timeout{30};     ///< For each 256 KiB.
    std::function<std::string()> metrics_text; ///< What /metrics answers.
};

/// Serves a repository over HTTP/1.1: files of the layout with ranges, `/announce` and `/scrape` of
/// the tracker, `/v1/seeder` (what this seeder is, JSON), `/metrics` and `/healthz`.
///
/// Threads: everything runs on the io thread; files are read on `pool`. `tracker` is used on the io
/// thread only; it, `metrics` and `pool` must outlive the coroutine.
class HttpServer {
public:
    HttpServer(HttpServerOptions options, Tracker& tracker, SeederMetrics& metrics,
               net::thread_pool& pool);

    /// Binds. Errors: the errno of bind(2), naming the address.
    [[nodiscard]] Result<> listen(net::io_context& io, const ListenAddress& address);
    [[nodiscard]] std::uint16_t port() const;

    /// Accepts until `stop`; then closes every connection and returns when they are gone.
    /// The server must outlive the coroutine.
    net::awaitable<void> serve(std::stop_token stop);

    struct Shared; ///< What the connections share; complete in the .cpp only.

private:
    std::shared_ptr<Shared> shared_;
};

} // namespace slipway::seeder
