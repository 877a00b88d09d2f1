#include "seeder/io/http_server.h"

#include <fcntl.h>

#include "common/core/errc.h"
#include "common/io/blocking.h"
#include "common/io/file_ops.h"
#include "common/io/log.h"
#include "seeder/io/http_shared.h"

namespace slipway::seeder {

HttpServer::HttpServer(HttpServerOptions options, Tracker& tracker, SeederMetrics& metrics,
                       net::thread_pool& pool)
    : shared_(std::make_shared<Shared>(std::move(options), tracker, metrics, pool)) {}

Result<> HttpServer::listen(net::io_context& io, const ListenAddress& address) {
    const auto where = host_port(address.ip, address.port);
    auto directory = open_file(shared_->options.repository, O_RDONLY | O_DIRECTORY);
    if (!directory) {
        return tl::unexpected(directory.error());
    }
    shared_->directory = std::move(*directory);
    const net::ip::tcp::endpoint endpoint(net::ip::make_address(address.ip), address.port);
    auto& acceptor = shared_->acceptor.emplace(io);
    boost::system::error_code ec;
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) {
        acceptor.set_option(net::ip::tcp::acceptor::reuse_address(true), ec);
    }
    if (!ec) {
        acceptor.bind(endpoint, ec);
    }
    if (!ec) {
        acceptor.listen(net::socket_base::max_listen_connections, ec);
    }
    if (ec) {
        return fail(std::error_code(ec.value(), std::generic_category()), "listen on " + where);
    }
    return {};
}

std::uint16_t HttpServer::port() const {
    return shared_->acceptor->local_endpoint().port();
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
    const auto executor = co_await net::this_coro::executor;
    auto& acceptor = *shared_->acceptor;
    const std::stop_callback close_on_stop{stop, [&acceptor] { acceptor.close(); }};
    while (!stop.stop_requested()) {
        boost::system::error_code ec;
        auto into_ec = net::redirect_error(net::use_awaitable, ec);
        auto socket = co_await acceptor.async_accept(into_ec);
        if (stop.stop_requested()) {
            break;
        }
        if (ec) {
            // Out of descriptors, or the peer is gone already: neither ends the service.
            log_event(LogLevel::warning, "http.accept_failed", {{"why", ec.message()}});
            co_await sleep_for(std::chrono::milliseconds(100), stop);
            continue;
        }
        if (shared_->connections >= shared_->options.connections_max) {
            continue; // The socket closes: a client tries another seeder.
        }
        net::co_spawn(executor, serve_connection(std::move(socket), shared_, stop), rethrow);
    }
}

} // namespace slipway::seeder
