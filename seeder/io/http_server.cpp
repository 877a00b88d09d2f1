#include "seeder/io/http_server.h"

#include <fcntl.h>

#include "common/io/blocking.h"
#include "common/io/file_ops.h"
#include "common/io/log.h"
#include "seeder/io/http_answer.h"
#include "seeder/io/http_shared.h"

namespace slipway::seeder {

namespace {

http::ServerOptions counted(http::ServerOptions options, SeederMetrics& metrics) {
    options.opened = [&metrics] { metrics.connection_opened(); };
    options.closed = [&metrics] { metrics.connection_closed(); };
    return options;
}

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the caller waits for it.
net::awaitable<void> answer_one(http::Exchange& exchange,
                                std::shared_ptr<HttpServer::Shared> shared) {
    Answer answer(exchange, *shared);
    co_await answer.run();
}

http::Handler answering(std::shared_ptr<HttpServer::Shared> shared) {
    return [shared = std::move(shared)](http::Exchange& exchange) {
        return answer_one(exchange, shared);
    };
}

} // namespace

HttpServer::HttpServer(HttpServerOptions options, Tracker& tracker, Assigner& assigner,
                       SeederMetrics& metrics, net::thread_pool& pool)
    : shared_(std::make_shared<Shared>(std::move(options), tracker, assigner, metrics, pool)),
      server_(counted(shared_->options.http, metrics), answering(shared_)) {}

Result<> HttpServer::listen(net::io_context& io, const http::ListenAddress& address) {
    auto directory = open_file(shared_->options.repository, O_RDONLY | O_DIRECTORY);
    if (!directory) {
        return tl::unexpected(directory.error());
    }
    shared_->directory = std::move(*directory);
    return server_.listen(io, address);
}

std::uint16_t HttpServer::port() const {
    return server_.port();
}

net::awaitable<void> HttpServer::expire_pushes(std::stop_token stop) {
    while (!stop.stop_requested()) {
        auto work = [shared = shared_] {
            const auto now = std::filesystem::file_time_type::clock::now();
            return shared->pushes.store.remove_older_than(now - shared->options.push_age_max);
        };
        const auto removed = co_await run_blocking(shared_->pool, std::move(work));
        if (removed > 0) {
            log_event(LogLevel::info, "push.expired", {{"files", std::to_string(removed)}});
        }
        co_await sleep_for(std::chrono::hours(1), stop);
    }
}

net::awaitable<void> HttpServer::serve(std::stop_token stop) {
    co_await server_.serve(std::move(stop));
}

} // namespace slipway::seeder
