#pragma once

// Names Beast's types: included by http_connection.cpp and http_push.cpp only.

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>

#include "common/core/identity.h"
#include "common/io/file_ops.h"
#include "seeder/io/http_shared.h"
#include "seeder/io/http_stream.h"

namespace slipway::seeder {

struct OpenedFile {
    Fd fd;
    std::uint64_t bytes = 0;
};

/// One connection: lets the peer show who it is, then reads requests and answers them one after the
/// other.
class Connection {
public:
    Connection(net::ip::tcp::socket socket, std::shared_ptr<HttpServer::Shared> shared);
    ~Connection() {
        --shared_->connections;
        shared_->metrics.connection_closed();
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    net::awaitable<void> run(std::stop_token stop);

private:
    using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;
    using Request = boost::beast::http::request<boost::beast::http::buffer_body>;
    using Status = boost::beast::http::status;

    net::awaitable<bool> authenticate();
    void report_refusal(const std::string& why);
    net::awaitable<void> linger();
    net::awaitable<void> answer_requests(std::stop_token stop);
    net::awaitable<bool> answer(Parser& parser);
    net::awaitable<bool> answer_push(Parser& parser, std::string path);
    net::awaitable<bool> receive_part(Parser& parser, PushObject object);
    net::awaitable<bool> finish_push(Parser& parser, PushObject object);
    net::awaitable<bool> commit(Parser& parser);
    /// Reads what is left of a request's body into `file`, or into `small` if there is no file.
    net::awaitable<Result<>> read_body(Parser& parser, const Fd* file, std::uint64_t offset,
                                       Bytes* small);
    net::awaitable<bool> send_error(const Request& request, Error error);
    /// Whether the peer may do it; on a plain connection everyone may read and announce.
    [[nodiscard]] Result<> check_allowed(Action action) const;
    [[nodiscard]] bool keeps_alive(const Request& request) const;
    net::awaitable<bool> send_text(const Request& request, Status status, std::string type,
                                   std::string text);
    net::awaitable<bool> send_file(const Request& request, std::string path);
    net::awaitable<bool> send_bytes_of(OpenedFile file, FileRange range);
    std::string announce(std::string_view query);
    [[nodiscard]] std::string describe_seeder() const;

    std::shared_ptr<HttpServer::Shared> shared_;
    std::shared_ptr<ssl_ctx_st> tls_; ///< What this connection was checked with; none: plain.
    HttpStream stream_;
    boost::beast::flat_buffer buffer_;
    net::ip::tcp::endpoint remote_;
    net::ip::tcp::endpoint local_;
    std::optional<Identity> peer_; ///< None on a plain connection.
    std::chrono::steady_clock::time_point begun_;
};

} // namespace slipway::seeder
