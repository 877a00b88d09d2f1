#include "seeder/io/http_server.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/io/blocking.h"
#include "common/io/file_ops.h"
#include "common/io/log.h"

namespace slipway::seeder {
namespace beast = boost::beast;
namespace http = beast::http;
namespace {

constexpr std::size_t header_bytes_max = 16UL * 1024;
constexpr std::size_t send_bytes = 256UL * 1024;
using Request = http::request<http::empty_body>;

std::vector<std::uint8_t> address_bytes(const net::ip::address& address) {
    if (address.is_v4()) {
        const auto bytes = address.to_v4().to_bytes();
        return {bytes.begin(), bytes.end()};
    }
    const auto bytes = address.to_v6().to_bytes();
    return {bytes.begin(), bytes.end()};
}

struct OpenedFile {
    Fd fd;
    std::uint64_t bytes = 0;
};

// RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS (openat2(2)): whatever the path says and whatever stands
// in the repository, nothing outside it is opened.
Result<OpenedFile> open_beneath(int directory, const std::string& path) {
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    OpenedFile file;
    file.fd = Fd(static_cast<int>(
        ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how))); // NOLINT
    struct stat info{};
    if (!file.fd || ::fstat(file.fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
        return fail(Errc::not_found, path);
    }
    file.bytes = static_cast<std::uint64_t>(info.st_size);
    return file;
}

} // namespace

struct HttpServer::Shared {
    HttpServerOptions options;
    Tracker& tracker;
    SeederMetrics& metrics;
    net::thread_pool& pool;
    Fd directory;
    std::optional<net::ip::tcp::acceptor> acceptor;
    std::size_t connections = 0;
};

namespace {

/// One connection: reads requests and answers them one after the other.
class Connection {
public:
    Connection(net::ip::tcp::socket socket, std::shared_ptr<HttpServer::Shared> shared);
    net::awaitable<void> run(std::stop_token stop);

private:
    net::awaitable<bool> answer(const Request& request);
    net::awaitable<bool> send_text(const Request& request, http::status status, std::string type,
                                   std::string text);
    net::awaitable<bool> send_file(const Request& request, std::string path);
    net::awaitable<bool> send_bytes_of(OpenedFile file, FileRange range);
    std::string announce(std::string_view query);
    [[nodiscard]] std::string describe_seeder() const;

    beast::tcp_stream stream_;
    std::shared_ptr<HttpServer::Shared> shared_;
    net::ip::tcp::endpoint remote_;
    net::ip::tcp::endpoint local_;
};

Connection::Connection(net::ip::tcp::socket socket, std::shared_ptr<HttpServer::Shared> shared)
    : stream_(std::move(socket)), shared_(std::move(shared)) {
    boost::system::error_code ignored;
    remote_ = stream_.socket().remote_endpoint(ignored);
    local_ = stream_.socket().local_endpoint(ignored);
    stream_.socket().set_option(net::ip::tcp::no_delay(true), ignored);
    ++shared_->connections;
    shared_->metrics.connection_opened();
}

net::awaitable<void> Connection::run(std::stop_token stop) {
    const std::stop_callback close_on_stop{stop, [this] { stream_.close(); }};
    beast::flat_buffer buffer(header_bytes_max);
    bool keep_alive = true;
    while (keep_alive && !stop.stop_requested()) {
        http::request_parser<http::empty_body> parser;
        parser.header_limit(header_bytes_max);
        parser.body_limit(0);
        boost::system::error_code ec;
        auto into_ec = net::redirect_error(net::use_awaitable, ec);
        stream_.expires_after(shared_->options.idle_timeout);
        co_await http::async_read(stream_, buffer, parser, into_ec);
        if (ec) {
            break;
        }
        const Request request = parser.release();
        keep_alive = co_await answer(request);
    }
    stream_.close();
    --shared_->connections;
    shared_->metrics.connection_closed();
}

std::string Connection::announce(std::string_view query) {
    const auto parsed = parse_announce(query, address_bytes(remote_.address()));
    if (!parsed) {
        const auto why = describe(parsed.error());
        return "d14:failure reason" + std::to_string(why.size()) + ":" + why + "e";
    }
    const PeerEndpoint self{.address = address_bytes(local_.address()),
                            .port = shared_->options.bittorrent_port};
    return shared_->tracker.announce(*parsed, self, std::chrono::steady_clock::now());
}

std::string Connection::describe_seeder() const {
    const nlohmann::json description = {
        {"version", 1},
        {"region", shared_->options.region},
        {"bittorrent",
         {{"ip", local_.address().to_string()}, {"port", shared_->options.bittorrent_port}}}};
    return description.dump() + "\n";
}

net::awaitable<bool> Connection::answer(const Request& request) {
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
        co_return co_await send_text(request, http::status::method_not_allowed, "text/plain",
                                     "only GET and HEAD are answered here\n");
    }
    const std::string_view target(request.target().data(), request.target().size());
    const auto question = std::min(target.find('?'), target.size());
    const auto path = target.substr(0, question);
    const auto query = target.substr(std::min(question + 1, target.size()));
    if (path == "/announce") {
        co_return co_await send_text(request, http::status::ok, "text/plain", announce(query));
    }
    if (path == "/scrape") {
        const auto hashes = parse_scrape(query);
        const auto now = std::chrono::steady_clock::now();
        auto reply = hashes ? shared_->tracker.scrape(*hashes, now) : std::string("de");
        co_return co_await send_text(request, http::status::ok, "text/plain", std::move(reply));
    }
    if (path == "/v1/seeder") {
        co_return co_await send_text(request, http::status::ok, "application/json",
                                     describe_seeder());
    }
    if (path == "/metrics") {
        co_return co_await send_text(request, http::status::ok, Metrics::content_type,
                                     shared_->options.metrics_text());
    }
    if (path == "/healthz") {
        co_return co_await send_text(request, http::status::ok, "text/plain", "ok\n");
    }
    if (auto file = repository_path(path)) {
        co_return co_await send_file(request, std::move(*file));
    }
    co_return co_await send_text(request, http::status::not_found, "text/plain",
                                 "no such file in the repository\n");
}

net::awaitable<bool> Connection::send_text(const Request& request, http::status status,
                                           std::string type, std::string text) {
    http::response<http::string_body> response(status, request.version());
    response.keep_alive(request.keep_alive());
    response.set(http::field::content_type, type);
    response.content_length(text.size());
    if (request.method() != http::verb::head) {
        response.body() = std::move(text);
    }
    boost::system::error_code ec;
    auto into_ec = net::redirect_error(net::use_awaitable, ec);
    stream_.expires_after(shared_->options.send_timeout);
    http::response_serializer<http::string_body> serializer(response);
    co_await http::async_write(stream_, serializer, into_ec);
    co_return !ec && request.keep_alive();
}

net::awaitable<bool> Connection::send_file(const Request& request, std::string path) {
    auto opening = [directory = shared_->directory.get(), path] {
        return open_beneath(directory, path);
    };
    auto file = co_await run_blocking(shared_->pool, std::move(opening));
    if (!file) {
        co_return co_await send_text(request, http::status::not_found, "text/plain",
                                     "no such file in the repository\n");
    }
    const auto range_field = request[http::field::range];
    const auto range =
        range_to_send(std::string_view(range_field.data(), range_field.size()), file->bytes);
    http::response<http::empty_body> response(http::status::ok, request.version());
    response.keep_alive(request.keep_alive());
    response.set(http::field::content_type, "application/octet-stream");
    response.set(http::field::accept_ranges, "bytes");
    if (!range) {
        response.result(http::status::range_not_satisfiable);
        response.set(http::field::content_range, "bytes */" + std::to_string(file->bytes));
        response.content_length(0);
    } else {
        response.content_length(range->bytes);
    }
    if (range && range->partial) {
        response.result(http::status::partial_content);
        response.set(http::field::content_range,
                     "bytes " + std::to_string(range->offset) + "-" +
                         std::to_string(range->offset + range->bytes - 1) + "/" +
                         std::to_string(file->bytes));
    }
    boost::system::error_code ec;
    auto into_ec = net::redirect_error(net::use_awaitable, ec);
    stream_.expires_after(shared_->options.send_timeout);
    http::response_serializer<http::empty_body> serializer(response);
    co_await http::async_write_header(stream_, serializer, into_ec);
    if (ec) {
        co_return false;
    }
    if (range && request.method() != http::verb::head) {
        const bool sent = co_await send_bytes_of(std::move(*file), *range);
        co_return sent&& request.keep_alive();
    }
    co_return request.keep_alive();
}

net::awaitable<bool> Connection::send_bytes_of(OpenedFile file, FileRange range) {
    Bytes buffer(std::min<std::uint64_t>(send_bytes, range.bytes));
    while (range.bytes > 0) {
        const auto part =
            std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), range.bytes));
        auto reading = [fd = file.fd.get(), part, offset = range.offset] {
            return pread_all(fd, part, offset, "repository file");
        };
        const auto read = co_await run_blocking(shared_->pool, std::move(reading));
        if (!read) {
            co_return false; // The file shrank: the length promised cannot be kept.
        }
        boost::system::error_code ec;
        auto into_ec = net::redirect_error(net::use_awaitable, ec);
        stream_.expires_after(shared_->options.send_timeout);
        const auto view = net::buffer(part.data(), part.size());
        co_await net::async_write(stream_, view, into_ec);
        if (ec) {
            co_return false;
        }
        shared_->metrics.http_sent(part.size());
        range.offset += part.size();
        range.bytes -= part.size();
    }
    co_return true;
}

net::awaitable<void> serve_connection(net::ip::tcp::socket socket,
                                      std::shared_ptr<HttpServer::Shared> shared,
                                      std::stop_token stop) {
    Connection connection(std::move(socket), std::move(shared));
    co_await connection.run(std::move(stop));
}

} // namespace

HttpServer::HttpServer(HttpServerOptions options, Tracker& tracker, SeederMetrics& metrics,
                       net::thread_pool& pool)
    : shared_(new Shared{.options = std::move(options),
                         .tracker = tracker,
                         .metrics = metrics,
                         .pool = pool,
                         .directory = {},
                         .acceptor = {}}) {}

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
