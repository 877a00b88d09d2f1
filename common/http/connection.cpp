#include "common/http/connection.h"

#include <array>
#include <charconv>
#include <limits>

#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "common/core/errc.h"
#include "common/io/log.h"
#include "common/tls/peer_check.h"

namespace slipway::http {
namespace wire = boost::beast::http;
namespace {

constexpr std::size_t header_bytes_max = 16UL * 1024;
constexpr std::size_t lingering_bytes = 256UL * 1024;

template <typename Message>
void set_head(Message& message, const Head& head, bool keep_alive) {
    message.keep_alive(keep_alive);
    message.set(wire::field::content_type, head.type);
    for (const auto& [name, value] : head.fields) {
        message.set(name, value);
    }
}

std::string text_of(boost::beast::string_view view) {
    return {view.data(), view.size()};
}

} // namespace

Connection::Connection(net::ip::tcp::socket socket, std::shared_ptr<Server::Shared> shared,
                       std::stop_token stop)
    : shared_(std::move(shared)), stop_(std::move(stop)),
      tls_(shared_->options.credentials ? shared_->options.credentials->server_context() : nullptr),
      stream_(std::move(socket), tls_), buffer_(header_bytes_max) {
    auto& tcp = stream_.tcp().socket();
    boost::system::error_code ignored;
    request_.remote = tcp.remote_endpoint(ignored);
    request_.local = tcp.local_endpoint(ignored);
    tcp.set_option(net::ip::tcp::no_delay(true), ignored);
    const auto most = std::chrono::milliseconds(shared_->options.connection_age_max).count();
    std::uniform_int_distribution<std::int64_t> age(most * 3 / 4, most);
    until_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(age(shared_->jitter));
    ++shared_->connections;
    if (shared_->options.opened) {
        shared_->options.opened();
    }
}

Connection::~Connection() {
    --shared_->connections;
    if (shared_->options.closed) {
        shared_->options.closed();
    }
}

net::awaitable<void> Connection::run() {
    const std::stop_callback close_on_stop{stop_, [this] { stream_.tcp().close(); }};
    bool welcome = true;
    if (stream_.is_tls()) {
        welcome = co_await authenticate();
    }
    if (welcome) {
        co_await answer_requests();
    }
    stream_.tcp().close();
}

net::awaitable<bool> Connection::authenticate() {
    const auto address = request_.remote.address().to_string();
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
    request_.peer = std::move(*peer);
    co_return true;
}

void Connection::report_refusal(const std::string& why) {
    const auto dropped = shared_->refusals.take(std::chrono::steady_clock::now());
    if (dropped) {
        const auto& remote = request_.remote;
        log_event(LogLevel::warning, "tls.refused",
                  {{"peer", host_port(remote.address().to_string(), remote.port())},
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
    Bytes unread(lingering_bytes);
    for (int reads = 0; !ec && reads < 256; ++reads) {
        auto into_ec = net::redirect_error(net::use_awaitable, ec);
        const auto into = net::buffer(unread);
        co_await stream_.tcp().async_read_some(into, into_ec);
    }
}

net::awaitable<void> Connection::answer_requests() {
    bool keep_alive = true;
    while (keep_alive && !stop_.stop_requested()) {
        parser_.emplace();
        parser_->header_limit(header_bytes_max);
        // Boost 1.74 takes boost::none for a limit of nothing. Handlers bound what they read.
        parser_->body_limit(std::numeric_limits<std::uint64_t>::max());
        boost::system::error_code ec;
        auto into_ec = net::redirect_error(net::use_awaitable, ec);
        stream_.tcp().expires_after(shared_->options.idle_timeout);
        co_await wire::async_read_header(stream_, buffer_, *parser_, into_ec);
        if (ec) {
            break;
        }
        keep_alive = co_await answer();
        if (!parser_->is_done()) {
            // A body that is not wanted is not read: what follows it cannot be found.
            co_await linger();
            break;
        }
    }
}

void Connection::take_request() {
    const auto& message = parser_->get();
    const std::string_view target(message.target().data(), message.target().size());
    const auto question = std::min(target.find('?'), target.size());
    request_.method = text_of(message.method_string());
    request_.path = target.substr(0, question);
    request_.query = target.substr(std::min(question + 1, target.size()));
    request_.content_length.reset();
    if (const auto length = parser_->content_length()) {
        request_.content_length = *length;
    }
    begun_ = false;
    chunked_ = false;
    left_ = 0;
}

net::awaitable<bool> Connection::answer() {
    take_request();
    co_await shared_->handler(*this);
    if (!begun_) {
        co_return false;
    }
    const auto ended = co_await end_answer();
    co_return ended&& keep_alive_;
}

bool Connection::keeps_alive() const {
    const bool checked_with_these =
        !tls_ || (tls_ == shared_->options.credentials->server_context() &&
                  std::chrono::steady_clock::now() < until_);
    return parser_->get().keep_alive() && checked_with_these;
}

Error Connection::gone(const char* attempt, const boost::system::error_code& ec) const {
    const auto who = request_.peer ? request_.peer->text() : request_.remote.address().to_string();
    return {Errc::unreachable, std::string(attempt) + " " + who + ": " + ec.message()};
}

std::string_view Connection::header(std::string_view name) const {
    const auto value = parser_->get()[boost::beast::string_view(name.data(), name.size())];
    return {value.data(), value.size()};
}

net::awaitable<Result<std::size_t>> Connection::read_within(std::span<std::uint8_t> into) {
    while (!parser_->is_done()) {
        auto& body = parser_->get().body();
        body.data = into.data();
        body.size = into.size();
        boost::system::error_code ec;
        auto into_ec = net::redirect_error(net::use_awaitable, ec);
        co_await wire::async_read(stream_, buffer_, *parser_, into_ec);
        if (ec && ec != wire::error::need_buffer) {
            auto error = gone("receive from", ec);
            co_return tl::unexpected(std::move(error));
        }
        if (body.size < into.size()) {
            co_return into.size() - body.size;
        }
    }
    co_return std::size_t{0};
}

net::awaitable<Result<std::size_t>> Connection::read(std::span<std::uint8_t> into) {
    stream_.tcp().expires_after(shared_->options.send_timeout);
    co_return co_await read_within(into);
}

net::awaitable<Result<std::string>> Connection::read_all(std::size_t bytes_max) {
    std::string whole;
    const auto announced = request_.content_length.value_or(0);
    if (announced <= bytes_max) {
        whole.reserve(announced); // One allocation for what nearly all requests have.
    }
    stream_.tcp().expires_after(shared_->options.body_timeout);
    std::array<std::uint8_t, 8192> part{};
    while (announced <= bytes_max && whole.size() <= bytes_max) {
        const auto read = co_await read_within(part);
        if (!read) {
            co_return tl::unexpected(read.error());
        }
        if (*read == 0) {
            co_return whole;
        }
        whole.append(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(*read));
    }
    co_return fail(std::make_error_code(std::errc::message_size),
                   "the body has more than " + std::to_string(bytes_max) + " bytes");
}

net::awaitable<Result<>> Connection::begin(Head head) {
    keep_alive_ = keeps_alive();
    begun_ = true;
    const auto& message = parser_->get();
    wire::response<wire::empty_body> response(
        wire::int_to_status(static_cast<unsigned>(head.status)), message.version());
    set_head(response, head, keep_alive_);
    if (head.bytes) {
        response.content_length(*head.bytes);
    } else {
        response.chunked(true);
    }
    const bool wants_body = message.method() != wire::verb::head;
    chunked_ = !head.bytes && wants_body;
    left_ = wants_body ? head.bytes.value_or(0) : 0;
    boost::system::error_code ec;
    auto into_ec = net::redirect_error(net::use_awaitable, ec);
    stream_.tcp().expires_after(shared_->options.send_timeout);
    wire::response_serializer<wire::empty_body> serializer(response);
    co_await wire::async_write_header(stream_, serializer, into_ec);
    if (ec) {
        keep_alive_ = false;
        auto error = gone("answer", ec);
        co_return tl::unexpected(std::move(error));
    }
    co_return Result<>{};
}

net::awaitable<Result<>> Connection::write(ByteSpan bytes) {
    if (bytes.empty() || (!chunked_ && left_ == 0)) {
        co_return Result<>{};
    }
    std::array<char, 20> size{};
    std::size_t digits = 0;
    std::string_view tail;
    if (chunked_) {
        auto* end = std::to_chars(size.data(), size.data() + 16, bytes.size(), 16).ptr;
        *end++ = '\r';
        *end++ = '\n';
        digits = static_cast<std::size_t>(end - size.data());
        tail = "\r\n";
    } else {
        bytes = bytes.first(std::min<std::uint64_t>(bytes.size(), left_));
        left_ -= bytes.size();
    }
    const std::array<net::const_buffer, 3> parts{net::buffer(size.data(), digits),
                                                 net::buffer(bytes.data(), bytes.size()),
                                                 net::buffer(tail.data(), tail.size())};
    boost::system::error_code ec;
    auto into_ec = net::redirect_error(net::use_awaitable, ec);
    stream_.tcp().expires_after(shared_->options.send_timeout);
    co_await net::async_write(stream_, parts, into_ec);
    if (ec) {
        keep_alive_ = false;
        auto error = gone("answer", ec);
        co_return tl::unexpected(std::move(error));
    }
    co_return Result<>{};
}

net::awaitable<Result<>> Connection::end_answer() {
    if (left_ > 0) {
        co_return fail(Errc::failed, "the answer was cut off");
    }
    if (!chunked_ || !keep_alive_) {
        co_return Result<>{};
    }
    boost::system::error_code ec;
    auto into_ec = net::redirect_error(net::use_awaitable, ec);
    constexpr std::string_view last = "0\r\n\r\n";
    const auto view = net::buffer(last.data(), last.size());
    co_await net::async_write(stream_, view, into_ec);
    if (ec) {
        auto error = gone("answer", ec);
        co_return tl::unexpected(std::move(error));
    }
    co_return Result<>{};
}

net::awaitable<void> Connection::send(Head head, std::string body) {
    keep_alive_ = keeps_alive();
    begun_ = true;
    const auto& message = parser_->get();
    wire::response<wire::string_body> response(
        wire::int_to_status(static_cast<unsigned>(head.status)), message.version());
    set_head(response, head, keep_alive_);
    response.content_length(body.size());
    if (message.method() != wire::verb::head) {
        response.body() = std::move(body);
    }
    boost::system::error_code ec;
    auto into_ec = net::redirect_error(net::use_awaitable, ec);
    stream_.tcp().expires_after(shared_->options.send_timeout);
    wire::response_serializer<wire::string_body> serializer(response);
    co_await wire::async_write(stream_, serializer, into_ec);
    if (ec) {
        keep_alive_ = false;
    }
}

} // namespace slipway::http
