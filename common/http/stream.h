#pragma once

// Names Beast's and Asio's stream types: included by connection.h only.

#include <memory>
#include <optional>

#include <openssl/ssl.h>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include "common/io/asio.h"

namespace slipway::http {

/// A TCP connection, plain or inside TLS: one type for both, so that what is written on top of it
/// is compiled once. Deadlines are those of tcp().
class HttpStream {
public:
    using executor_type = boost::beast::tcp_stream::executor_type;

    /// `tls`: the context of a TLS server, or none for plain text.
    HttpStream(net::ip::tcp::socket socket, const std::shared_ptr<ssl_ctx_st>& tls)
        : tcp_(std::move(socket)) {
        if (tls) {
            SSL_CTX_up_ref(tls.get()); // The next line takes a reference over.
            net::ssl::context context(tls.get());
            tls_.emplace(tcp_, context);
        }
    }

    [[nodiscard]] executor_type get_executor() { return tcp_.get_executor(); }
    [[nodiscard]] boost::beast::tcp_stream& tcp() { return tcp_; }
    [[nodiscard]] bool is_tls() const { return tls_.has_value(); }
    [[nodiscard]] ssl_st* ssl() { return tls_->native_handle(); }

    net::awaitable<boost::system::error_code> shake_hands() {
        boost::system::error_code ec;
        auto into_ec = net::redirect_error(net::use_awaitable, ec);
        co_await tls_->async_handshake(net::ssl::stream_base::server, into_ec);
        co_return ec;
    }

    template <typename Buffers, typename Handler>
    void async_read_some(const Buffers& buffers, Handler&& handler) {
        if (tls_) {
            tls_->async_read_some(buffers, std::forward<Handler>(handler));
        } else {
            tcp_.async_read_some(buffers, std::forward<Handler>(handler));
        }
    }

    template <typename Buffers, typename Handler>
    void async_write_some(const Buffers& buffers, Handler&& handler) {
        if (tls_) {
            tls_->async_write_some(buffers, std::forward<Handler>(handler));
        } else {
            tcp_.async_write_some(buffers, std::forward<Handler>(handler));
        }
    }

private:
    boost::beast::tcp_stream tcp_;
    std::optional<net::ssl::stream<boost::beast::tcp_stream&>> tls_;
};

} // namespace slipway::http
