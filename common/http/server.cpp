#include "common/http/server.h"

#include "common/http/connection.h"
#include "common/io/blocking.h"
#include "common/io/log.h"

namespace slipway::http {
namespace {

net::awaitable<void> serve_connection(net::ip::tcp::socket socket,
                                      std::shared_ptr<Server::Shared> shared,
                                      std::stop_token stop) {
    Connection connection(std::move(socket), std::move(shared), std::move(stop));
    co_await connection.run();
}

} // namespace

Server::Server(ServerOptions options, Handler handler)
    : shared_(std::make_shared<Shared>(std::move(options), std::move(handler))) {}

Result<> Server::listen(net::io_context& io, const ListenAddress& address) {
    const auto where = host_port(address.ip, address.port);
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

std::uint16_t Server::port() const {
    return shared_->acceptor->local_endpoint().port();
}

net::awaitable<void> Server::serve(std::stop_token stop) {
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
            continue; // The socket closes: a client tries another server.
        }
        net::co_spawn(executor, serve_connection(std::move(socket), shared_, stop), rethrow);
    }
}

} // namespace slipway::http
