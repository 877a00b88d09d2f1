#include "common/http/enroll_desk.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/io/blocking.h"
#include "common/io/log.h"
#include "common/tls/authority.h"
#include "common/tls/enrollment.h"

namespace slipway::http {
namespace {

constexpr const char* enroll_path = "/v1/enroll";

std::chrono::sys_seconds now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

int status_of(const Error& error) {
    if (error.code == Errc::forbidden) {
        return 403;
    }
    if (error.code == Errc::verification_failed || error.code == Errc::usage) {
        return 400;
    }
    return error.code == Errc::busy ? 503 : 500;
}

std::string error_text(const std::string& message) {
    return nlohmann::json{{"error", {{"message", message}}}}.dump(
        -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace

EnrollDesk::EnrollDesk(EnrollOptions options)
    : options_(std::move(options)),
      server_({.connections_max = 64}, [this](Exchange& exchange) { return answer(exchange); }) {}

Result<> EnrollDesk::listen(net::io_context& io, const ListenAddress& address) {
    return tls::Authority::open(options_.authority).and_then([&](const tls::Authority&) {
        return server_.listen(io, address);
    });
}

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the caller waits for it.
net::awaitable<void> EnrollDesk::answer(Exchange& exchange) {
    Head head;
    const auto& request = exchange.request();
    if (request.path == "/healthz") {
        std::string well = "{}";
        co_await exchange.send(std::move(head), std::move(well));
        co_return;
    }
    if (request.path != enroll_path || request.method != "POST") {
        head.status = request.path == enroll_path ? 405 : 404;
        co_await exchange.send(std::move(head), error_text("POST /v1/enroll is what there is"));
        co_return;
    }
    const auto from = request.remote.address().to_string();
    auto body = co_await exchange.read_all(tls::enroll_message_bytes_max);
    if (!body) {
        head.status = body.error().code == std::errc::message_size ? 413 : 400;
        co_await exchange.send(std::move(head),
                               error_text("the request is too long, or not whole"));
        co_return;
    }
    auto work = [this, text = std::move(*body)] {
        return tls::Authority::open(options_.authority).and_then([&](tls::Authority opened) {
            return opened.enroll(as_bytes(text), options_.certificates, now());
        });
    };
    auto reply = co_await run_blocking(pool_, std::move(work));
    if (reply) {
        log_event(LogLevel::info, "enroll.done", {{"from", from}});
        co_await exchange.send(std::move(head), std::move(*reply));
        co_return;
    }
    log_event(LogLevel::warning, "enroll.refused",
              {{"from", from}, {"why", describe(reply.error())}});
    head.status = status_of(reply.error());
    // What is wrong with this machine is for its log, not for strangers.
    const auto said = head.status < 500 ? describe(reply.error()) : "the authority cannot answer";
    co_await exchange.send(std::move(head), error_text(said));
}

} // namespace slipway::http
