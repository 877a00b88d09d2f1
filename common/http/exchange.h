#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/identity.h"
#include "common/core/result.h"
#include "common/io/asio.h"

namespace slipway::http {

using Fields = std::vector<std::pair<std::string, std::string>>;

/// What was asked: the line and who asks. Names and values of headers are read by
/// Exchange::header().
struct Request {
    std::string method; ///< "GET".
    std::string path;   ///< As sent, without the query: "/v1/hosts".
    std::string query;  ///< Behind the '?', as sent.
    std::optional<std::uint64_t> content_length;
    std::optional<Identity> peer; ///< None on a connection without TLS.
    net::ip::tcp::endpoint remote;
    net::ip::tcp::endpoint local;
};

/// How an answer begins.
struct Head {
    int status = 200;
    std::string type = "application/json";
    std::optional<std::uint64_t>
        bytes{};     ///< Of the body; none: sent in chunks, as long as it goes.
    Fields fields{}; ///< Further headers.
};

/// One request and its answer, while a handler works on it. Used on the io thread only; lives as
/// long as the handler's coroutine.
class Exchange {
public:
    Exchange() = default;
    virtual ~Exchange() = default;
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    [[nodiscard]] virtual const Request& request() const = 0;
    /// The value of a header of the request, or nothing. Valid until the handler ends.
    [[nodiscard]] virtual std::string_view header(std::string_view name) const = 0;

    /// Reads on in the request's body until `into` is full or the body ends: how many bytes that
    /// were; 0 at its end.
    /// Error: Errc::unreachable (the peer went away or is too slow).
    virtual net::awaitable<Result<std::size_t>> read(std::span<std::uint8_t> into) = 0;
    /// The whole body, within ServerOptions::body_timeout. Errors: std::errc::message_size if it is
    /// longer than `bytes_max` (nothing beyond was read); Errc::unreachable.
    virtual net::awaitable<Result<std::string>> read_all(std::size_t bytes_max) = 0;

    /// Begins the answer. Error: Errc::unreachable.
    virtual net::awaitable<Result<>> begin(Head head) = 0;
    /// Sends more of the body that begin() spoke of; nothing of it is kept back. Nothing is sent if
    /// the method is HEAD. Error: Errc::unreachable.
    virtual net::awaitable<Result<>> write(ByteSpan bytes) = 0;
    /// A whole answer; `head.bytes` is set to `body`'s size. Nobody asks how it went: if it did not
    /// arrive, the connection is over.
    virtual net::awaitable<void> send(Head head, std::string body) = 0;

    /// Whether the server stops: a handler that goes on for long should end then.
    [[nodiscard]] virtual bool stopping() const = 0;
};

/// Answers one request. A handler that ends without an answer, or before all bytes that it promised
/// were sent, costs the peer the connection.
using Handler = std::function<net::awaitable<void>(Exchange&)>;

} // namespace slipway::http
