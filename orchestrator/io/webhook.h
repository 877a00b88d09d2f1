#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "common/io/http_client.h"
#include "orchestrator/core/gate_answers.h"

namespace slipway::orchestrator {

/// Where a webhook goes, from the operator's configuration.
struct WebhookTarget {
    std::string url;
    bool plain_http = false;             ///< See check_outgoing_url().
    std::filesystem::path secret_file{}; ///< Messages are signed with it; needed.
    std::filesystem::path ca_file{};     ///< Empty: the system's authorities.
    std::chrono::milliseconds timeout{5'000};
};

/// One signed POST (docs/notifications.md). The status of the reply is for the caller to judge.
///
/// Threads: one thread at a time. Blocking: at most the target's timeout.
class Webhook {
public:
    /// Errors: Errc::usage: the URL, the secret's or the authorities' file.
    [[nodiscard]] static Result<Webhook> make(WebhookTarget target);

    /// Errors: as for HttpClient::request().
    [[nodiscard]] Result<HttpReply> send(const std::string& id, std::int64_t now_unix_s,
                                         const std::string& body, std::stop_token stop = {});
    [[nodiscard]] const std::string& url() const { return target_.url; }

private:
    Webhook(WebhookTarget target, HttpClient client);
    WebhookTarget target_;
    HttpClient client_;
};

/// Asks a gate: up to `attempts` times with the same id, waiting 200 ms, 400 ms, ... between them,
/// when it did not answer or answered 429 or 5xx. Holds when no answer came.
/// `now_unix_s` is asked for each attempt's timestamp.
[[nodiscard]] GateAnswer ask_gate(Webhook& hook, const std::string& id, const std::string& body,
                                  const std::function<std::int64_t()>& now_unix_s, int attempts = 3,
                                  const std::stop_token& stop = {});

} // namespace slipway::orchestrator
