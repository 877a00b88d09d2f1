#pragma once

// What the server and its connections share; included by their .cpp files only.

#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "common/io/file_ops.h"
#include "seeder/core/log_allowance.h"
#include "seeder/io/http_server.h"
#include "seeder/io/push_store.h"

namespace slipway::seeder {

/// Who pushes what at the moment. Used on the io thread only.
struct PushDesk {
    PushStore store;
    std::size_t uploads_max;
    std::set<std::pair<std::string, std::string>> busy{}; ///< Publisher and path.
    std::set<std::string> committing{};                   ///< Publishers.
};

struct HttpServer::Shared {
    Shared(HttpServerOptions given, Tracker& tracker_used, SeederMetrics& metrics_used,
           net::thread_pool& pool_used)
        : options(std::move(given)), tracker(tracker_used), metrics(metrics_used), pool(pool_used),
          half_open(options.half_open),
          pushes{PushStore(options.repository), options.push_uploads_max} {}

    HttpServerOptions options;
    Tracker& tracker;
    SeederMetrics& metrics;
    net::thread_pool& pool;
    Fd directory;
    std::optional<net::ip::tcp::acceptor> acceptor;
    HalfOpen half_open;
    PushDesk pushes;
    std::size_t connections = 0;
    LogAllowance refusals{20, std::chrono::seconds(10)}; ///< Lines about strangers.
};

/// Runs one connection to its end.
net::awaitable<void> serve_connection(net::ip::tcp::socket socket,
                                      std::shared_ptr<HttpServer::Shared> shared,
                                      std::stop_token stop);

} // namespace slipway::seeder
