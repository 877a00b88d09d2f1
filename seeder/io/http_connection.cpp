#include "seeder/io/http_connection.h"

#include <limits>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/io/blocking.h"
#include "common/io/log.h"
#include "common/tls/peer_check.h"

namespace slipway::seeder {
namespace beast = boost::beast;
namespace http = beast::http;
namespace {

constexpr std::size_t header_bytes_max = 16UL * 1024;
constexpr std::size_t send_bytes = 256UL * 1024;

std::vector<std::uint8_t> address_bytes(const net::ip::address& address) {
    if (address.is_v4()) {
        const auto bytes = address.to_v4().to_bytes();
        return {bytes.begin(), bytes.end()};
    }
    const auto bytes = address.to_v6().to_bytes();
    return {bytes.begin(), bytes.end()};
}

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

/// What the tracker and the repository's files are to the table of who may do what.
Action action_of(std::string_view path) {
    if (path.starts_with("/v1/push/")) {
        return Action::push_release;
    }
    return path == "/announce" || path == "/scrape" ? Action::announce : Action::read_repository;
}

} // namespace

Connection::Connection(net::ip::tcp::socket socket, std::shared_ptr<HttpServer::Shared> shared)
    : shared_(std::move(shared)),
      tls_(shared_->options.credentials ? shared_->options.credentials->server_context() : nullptr),
      stream_(std::move(socket), tls_), buffer_(header_bytes_max),
      begun_(std::chrono::steady_clock::now()) {
    auto& tcp = stream_.tcp().socket();
    boost::system::error_code ignored;
    remote_ = tcp.remote_endpoint(ignored);
    local_ = tcp.local_endpoint(ignored);
    tcp.set_option(net::ip::tcp::no_delay(true), ignored);
    ++shared_->connections;
    shared_->metrics.connection_opened();
}

net::awaitable<void> Connection::run(std::stop_token stop) {
    const std::stop_callback close_on_stop{stop, [this] { stream_.tcp().close(); }};
    bool welcome = true;
    if (stream_.is_tls()) {
        welcome = co_await authenticate();
    }
    if (welcome) {
        co_await answer_requests(std::move(stop));
    }
    stream_.tcp().close();
}

net::awaitable<bool> Connection::authenticate() {
    const auto address = remote_.address().to_string();
    if (!shared_->half_open.enter(address)) {
        report_refusal("too many connections whose TLS handshake is not done");
        co_return false;
    }
    std::string refusal;
    tls::report_refusals_to(stream_.ssl(), &refusal);
    stream_.tcp().expires_after(shared_->options.handshake_timeout);
    const auto ec = co_await stream_.shake_hands();
    tls::report_refusals_to(stream_.ssl(), nullptr);
    if (ec) {
        report_refusal(refusal.empty() ? ec.message() : refusal);
        co_await linger();
        shared_->half_open.leave(address);
        co_return false;
    }
    shared_->half_open.leave(address);
    auto peer = tls::peer_of(stream_.ssl());
    if (!peer) {
        report_refusal(peer.error().context);
        co_return false;
    }
    peer_ = std::move(*peer);
    co_return true;
}

void Connection::report_refusal(const std::string& why) {
    const auto dropped = shared_->refusals.take(std::chrono::steady_clock::now());
    if (dropped) {
        log_event(LogLevel::warning, "tls.refused",
                  {{"peer", host_port(remote_.address().to_string(), remote_.port())},
                   {"why", why},
                   {"refusals_not_logged", std::to_string(*dropped)}});
    }
}

// Closing with unread bytes resets the connection, and the peer would lose the alert or the reply
// that says why it was refused.
net::awaitable<void> Connection::linger() {
    boost::system::error_code ec;
    stream_.tcp().socket().shutdown(net::ip::tcp::socket::shutdown_send, ec);
    stream_.tcp().expires_after(std::chrono::seconds(1));
    Bytes unread(send_bytes);
    for (int reads = 0; !ec && reads < 256; ++reads) {
        auto into_ec = net::redirect_error(net::use_awaitable, ec);
        const auto into = net::buffer(unread);
        co_await stream_.tcp().async_read_some(into, into_ec);
    }
}

net::awaitable<void> Connection::answer_requests(std::stop_token stop) {
    bool keep_alive = true;
    while (keep_alive && !stop.stop_requested()) {
        Parser parser;
        parser.header_limit(header_bytes_max);
        // Boost 1.74 takes boost::none for a limit of nothing. Handlers bound what they read.
        parser.body_limit(std::numeric_limits<std::uint64_t>::max());
        boost::system::error_code ec;
        auto into_ec = net::redirect_error(net::use_awaitable, ec);
        stream_.tcp().expires_after(shared_->options.idle_timeout);
        co_await http::async_read_header(stream_, buffer_, parser, into_ec);
        if (ec) {
            break;
        }
        keep_alive = co_await answer(parser);
        if (!parser.is_done()) {
            // A body that is not wanted is not read: what follows it cannot be found.
            co_await linger();
            break;
        }
    }
}

Result<> Connection::check_allowed(Action action) const {
    return peer_ ? authorize(*peer_, action) : Result<>{};
}

bool Connection::keeps_alive(const Request& request) const {
    const bool checked_with_these =
        !tls_ || (tls_ == shared_->options.credentials->server_context() &&
                  std::chrono::steady_clock::now() - begun_ < shared_->options.connection_age_max);
    return request.keep_alive() && checked_with_these;
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

net::awaitable<bool> Connection::answer(Parser& parser) {
    const Request& request = parser.get();
    const std::string_view target(request.target().data(), request.target().size());
    const auto question = std::min(target.find('?'), target.size());
    const auto path = target.substr(0, question);
    const auto query = target.substr(std::min(question + 1, target.size()));
    if (path == "/healthz") {
        co_return co_await send_text(request, http::status::ok, "text/plain", "ok\n");
    }
    if (const auto allowed = check_allowed(action_of(path)); !allowed) {
        co_return co_await send_text(request, http::status::forbidden, "text/plain",
                                     allowed.error().context + "\n");
    }
    if (path.starts_with("/v1/push/")) {
        co_return co_await answer_push(parser, std::string(path));
    }
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
        co_return co_await send_text(request, http::status::method_not_allowed, "text/plain",
                                     "only GET and HEAD are answered here\n");
    }
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
    if (auto file = repository_path(path)) {
        co_return co_await send_file(request, std::move(*file));
    }
    co_return co_await send_text(request, http::status::not_found, "text/plain",
                                 "no such file in the repository\n");
}

net::awaitable<bool> Connection::send_text(const Request& request, http::status status,
                                           std::string type, std::string text) {
    const bool keep_alive = keeps_alive(request);
    http::response<http::string_body> response(status, request.version());
    response.keep_alive(keep_alive);
    response.set(http::field::content_type, type);
    response.content_length(text.size());
    if (request.method() != http::verb::head) {
        response.body() = std::move(text);
    }
    boost::system::error_code ec;
    auto into_ec = net::redirect_error(net::use_awaitable, ec);
    stream_.tcp().expires_after(shared_->options.send_timeout);
    http::response_serializer<http::string_body> serializer(response);
    co_await http::async_write(stream_, serializer, into_ec);
    co_return !ec && keep_alive;
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
    const bool keep_alive = keeps_alive(request);
    http::response<http::empty_body> response(http::status::ok, request.version());
    response.keep_alive(keep_alive);
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
    stream_.tcp().expires_after(shared_->options.send_timeout);
    http::response_serializer<http::empty_body> serializer(response);
    co_await http::async_write_header(stream_, serializer, into_ec);
    if (ec) {
        co_return false;
    }
    if (range && request.method() != http::verb::head) {
        const bool sent = co_await send_bytes_of(std::move(*file), *range);
        co_return sent&& keep_alive;
    }
    co_return keep_alive;
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
        stream_.tcp().expires_after(shared_->options.send_timeout);
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

} // namespace slipway::seeder
