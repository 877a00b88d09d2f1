#pragma once

// What the answers of a server share; included by their .cpp files only.

#include <memory>
#include <set>
#include <utility>

#include "common/io/file_ops.h"
#include "seeder/io/http_server.h"
#include "seeder/io/push_store.h"
#include "seeder/io/swarm_desk.h"

namespace slipway::seeder {

/// Who pushes what at the moment. Used on the io thread only.
struct PushDesk {
    PushStore store;
    std::size_t uploads_max;
    std::set<std::pair<std::string, std::string>> busy{}; ///< Publisher and path.
    std::set<std::string> committing{};                   ///< Publishers.
};

struct HttpServer::Shared {
    Shared(HttpServerOptions given, Tracker& tracker_used, Assigner& assigner,
           SeederMetrics& metrics_used, net::thread_pool& pool_used)
        : options(std::move(given)), tracker(tracker_used), metrics(metrics_used), pool(pool_used),
          desk(assigner, tracker_used),
          pushes{PushStore(options.repository), options.push_uploads_max} {}

    HttpServerOptions options;
    Tracker& tracker;
    SeederMetrics& metrics;
    net::thread_pool& pool;
    Fd directory;
    SwarmDesk desk;
    PushDesk pushes;
};

} // namespace slipway::seeder
