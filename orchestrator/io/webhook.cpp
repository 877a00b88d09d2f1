#include "orchestrator/io/webhook.h"

#include "common/core/errc.h"
#include "orchestrator/io/outgoing.h"

namespace slipway::orchestrator {
namespace {

constexpr std::uint64_t answer_bytes_max = 64ULL * 1024;

bool may_come_later(int status) {
    return status == 429 || status >= 500;
}

} // namespace

Webhook::Webhook(WebhookTarget target, HttpClient client)
    : target_(std::move(target)), client_(std::move(client)) {}

Result<Webhook> Webhook::make(WebhookTarget target) {
    if (auto checked = check_outgoing_url(target.url, target.plain_http); !checked) {
        return tl::unexpected(checked.error());
    }
    if (auto secret = read_secret(target.secret_file); !secret) {
        return tl::unexpected(within("the secret of webhook " + target.url, secret.error()));
    }
    auto client = make_outgoing_client(target.ca_file);
    if (!client) {
        return tl::unexpected(client.error());
    }
    return Webhook(std::move(target), std::move(*client));
}

Result<HttpReply> Webhook::send(const std::string& id, std::int64_t now_unix_s,
                                const std::string& body, std::stop_token stop) {
    auto secret = read_secret(target_.secret_file);
    if (!secret) {
        return tl::unexpected(secret.error());
    }
    auto headers = sign_headers(id, now_unix_s, body, *secret);
    if (!headers) {
        return tl::unexpected(headers.error());
    }
    HttpRequest request;
    request.method = "POST";
    request.body = body;
    request.headers = std::move(*headers);
    HttpLimits limits;
    limits.body_bytes_max = answer_bytes_max;
    limits.connect_timeout = limits.total_timeout = target_.timeout;
    return client_.request(target_.url, request, limits, std::move(stop));
}

GateAnswer ask_gate(Webhook& hook, const std::string& id, const std::string& body,
                    const std::function<std::int64_t()>& now_unix_s, int attempts,
                    const std::stop_token& stop) {
    GateAnswer last{GateVerdict::hold, "the gate was not asked"};
    std::chrono::milliseconds wait{200};
    for (int attempt = 0; attempt < attempts; ++attempt, wait *= 2) {
        if (attempt > 0 && !wait_for(wait, stop)) {
            break;
        }
        auto reply = hook.send(id, now_unix_s(), body, stop);
        if (!reply) {
            last = {GateVerdict::hold, describe(reply.error())};
            continue;
        }
        last = parse_gate_answer(reply->status, as_text(reply->body));
        if (!may_come_later(reply->status)) {
            break;
        }
    }
    return last;
}

} // namespace slipway::orchestrator
