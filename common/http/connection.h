#pragma once

// Names Beast's types: included by the .cpp files of this room only.

#include <memory>
#include <optional>
#include <random>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "common/http/log_allowance.h"
#include "common/http/server.h"
#include "common/http/stream.h"

namespace slipway::http {

struct Server::Shared {
    Shared(ServerOptions given, Handler answering)
        : options(std::move(given)), handler(std::move(answering)), half_open(options.half_open) {}

    ServerOptions options;
    Handler handler;
    std::optional<net::ip::tcp::acceptor> acceptor;
    HalfOpen half_open;
    std::size_t connections = 0;
    std::minstd_rand jitter{std::random_device{}()};
    LogAllowance refusals{20, std::chrono::seconds(10)}; ///< Lines about strangers.
};

/// One connection: lets the peer show who it is, then reads requests and has them answered one
/// after the other. It is the Exchange of the request in progress.
class Connection final : public Exchange {
public:
    Connection(net::ip::tcp::socket socket, std::shared_ptr<Server::Shared> shared,
               std::stop_token stop);
    ~Connection() override;
    net::awaitable<void> run();

    [[nodiscard]] const Request& request() const override { return request_; }
    [[nodiscard]] std::string_view header(std::string_view name) const override;
    net::awaitable<Result<std::size_t>> read(std::span<std::uint8_t> into) override;
    net::awaitable<Result<std::string>> read_all(std::size_t bytes_max) override;
    net::awaitable<Result<>> begin(Head head) override;
    net::awaitable<Result<>> write(ByteSpan bytes) override;
    net::awaitable<void> send(Head head, std::string body) override;
    [[nodiscard]] bool stopping() const override { return stop_.stop_requested(); }

private:
    using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;

    net::awaitable<bool> authenticate();
    void report_refusal(const std::string& why);
    net::awaitable<void> linger();
    net::awaitable<void> answer_requests();
    net::awaitable<bool> answer();
    net::awaitable<Result<>> end_answer();
    net::awaitable<Result<std::size_t>> read_within(std::span<std::uint8_t> into);
    void take_request();
    [[nodiscard]] bool keeps_alive() const;
    [[nodiscard]] Error gone(const char* attempt, const boost::system::error_code& ec) const;

    std::shared_ptr<Server::Shared> shared_;
    std::stop_token stop_;
    std::shared_ptr<ssl_ctx_st> tls_; ///< What this connection was checked with; none: plain.
    HttpStream stream_;
    boost::beast::flat_buffer buffer_;
    std::chrono::steady_clock::time_point until_;

    // Of the request in progress.
    std::optional<Parser> parser_;
    Request request_;
    bool begun_ = false;
    bool chunked_ = false;
    bool keep_alive_ = false;
    std::uint64_t left_ = 0; ///< Of the body that was promised.
};

} // namespace slipway::http
