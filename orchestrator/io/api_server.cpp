#include "orchestrator/io/api_server.h"

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/core/sha256.h"
#include "orchestrator/core/json_body.h"
#include "orchestrator/io/store.h"

namespace slipway::orchestrator {
namespace {

constexpr std::size_t key_bytes_max = 255;

struct Meaning {
    std::error_code code;
    int status;
    const char* word;
};

const Meaning& meaning_of(const Error& error) {
    static const Meaning meanings[] = {
        {Errc::usage, 400, "usage"},
        {Errc::verification_failed, 422, "verification_failed"},
        {Errc::forbidden, 403, "forbidden"},
        {Errc::not_found, 404, "not_found"},
        {Errc::busy, 409, "conflict"},
        {Errc::changed, 409, "changed"},
        {Errc::unreachable, 503, "unavailable"},
        {Errc::cancelled, 503, "unavailable"},
        {std::make_error_code(std::errc::message_size), 413, "too_large"},
        {std::make_error_code(std::errc::operation_not_supported), 405, "method"},
        {StoreErrc::conflict, 409, "conflict"},
        {StoreErrc::fenced, 503, "standby"},
        {StoreErrc::unreachable, 503, "unavailable"},
        {StoreErrc::outcome_unknown, 503, "unavailable"},
    };
    static const Meaning other{Errc::failed, 500, "failed"};
    for (const auto& meaning : meanings) {
        if (error.code == meaning.code) {
            return meaning;
        }
    }
    return other;
}

Answer error_answer(int status, const std::string& word, const std::string& message) {
    const nlohmann::json body = {{"error", {{"code", word}, {"message", message}}}};
    return json_answer(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), status);
}

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the caller waits for it.
net::awaitable<void> send(http::Exchange& exchange, Answer answer) {
    http::Head head{.status = answer.status,
                    .type = std::move(answer.type),
                    .fields = std::move(answer.fields)};
    co_await exchange.send(std::move(head), std::move(answer.body));
}

std::string digest_of(const http::Request& request, const std::string& body) {
    return sha256(
               as_bytes(request.method + "\n" + request.path + "\n" + request.query + "\n" + body))
        .hex();
}

bool changes_something(const http::Request& request, const Matched& route) {
    return request.method != "GET" && request.method != "HEAD" &&
           route.operation != Operation::sync_agent &&
           route.operation != Operation::plan_deployment;
}

/// All that can be said of a request before its body is read.
Result<Asked> check(const http::Exchange& exchange) {
    const auto& request = exchange.request();
    Asked asked;
    auto route = match_route(request.method, request.path);
    if (!route) {
        return tl::unexpected(route.error());
    }
    asked.route = std::move(*route);
    if (!request.peer) {
        return fail(Errc::forbidden, "only connections with a certificate are answered here");
    }
    asked.who = *request.peer;
    if (auto may = check_access(asked.who, asked.route.access); !may) {
        return tl::unexpected(may.error());
    }
    auto query = parse_query(request.query, parameters_of(asked.route.operation));
    if (!query) {
        return tl::unexpected(query.error());
    }
    asked.query = std::move(*query);
    if (changes_something(request, asked.route)) {
        asked.idempotency_key = exchange.header("idempotency-key");
        if (asked.idempotency_key.size() > key_bytes_max) {
            return fail(Errc::usage, "Idempotency-Key has more than " +
                                         std::to_string(key_bytes_max) + " bytes");
        }
    }
    return asked;
}

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the caller waits for it.
net::awaitable<void> refuse(http::Exchange& exchange, Error error) {
    co_await send(exchange, answer_of(error));
}

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the caller waits for it.
net::awaitable<void> handle(http::Exchange& exchange, std::shared_ptr<ApiHandlers> handlers) {
    auto asked = check(exchange);
    if (!asked) {
        co_return co_await refuse(exchange, std::move(asked.error()));
    }
    auto body = co_await exchange.read_all(JsonBody::bytes_max);
    if (!body) {
        if (body.error().code == std::errc::message_size) {
            co_await refuse(exchange, std::move(body.error()));
        }
        co_return;
    }
    asked->body = std::move(*body);
    if (!asked->idempotency_key.empty()) {
        asked->digest = digest_of(exchange.request(), asked->body);
    }
    if (asked->route.operation == Operation::watch) {
        co_return co_await handlers->watch(exchange, std::move(*asked));
    }
    auto answer = co_await handlers->answer(std::move(*asked));
    co_await send(exchange, std::move(answer));
}

http::Handler handling(ApiHandlers given) {
    auto handlers = std::make_shared<ApiHandlers>(std::move(given));
    return [handlers](http::Exchange& exchange) -> net::awaitable<void> {
        return handle(exchange, handlers);
    };
}

} // namespace

Answer json_answer(std::string body, int status) {
    body += '\n';
    return {status, std::move(body)};
}

Answer answer_of(const Error& error) {
    const auto& meaning = meaning_of(error);
    return error_answer(meaning.status, meaning.word, error.context);
}

ApiServer::ApiServer(http::ServerOptions options, ApiHandlers handlers)
    : server_(std::move(options), handling(std::move(handlers))) {}

Result<> ApiServer::listen(net::io_context& io, const http::ListenAddress& address) {
    return server_.listen(io, address);
}

net::awaitable<void> ApiServer::serve(std::stop_token stop) {
    co_await server_.serve(std::move(stop));
}

} // namespace slipway::orchestrator
