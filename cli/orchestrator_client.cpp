#include "cli/orchestrator_client.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include <nlohmann/json.hpp>

#include "cli/remote.h"
#include "common/core/errc.h"
#include "common/core/sha256.h"
#include "common/io/random_digits.h"
#include "common/tls/flags.h"

namespace slipway::cli {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t page_limit = 1'000;
constexpr std::chrono::milliseconds take_over{6'000};

std::error_code code_of(int status) {
    switch (status) {
    case 400:
    case 405:
    case 413:
        return Errc::usage;
    case 403:
        return Errc::forbidden;
    case 404:
        return Errc::not_found;
    case 422:
        return Errc::verification_failed;
    case 503:
        return Errc::unreachable;
    default:
        return Errc::failed;
    }
}

Result<json> body_of(const HttpReply& reply, const std::string& url) {
    auto value = json::parse(reply.body, nullptr, false);
    if (reply.status >= 200 && reply.status < 300) {
        if (value.is_discarded()) {
            return fail(Errc::unreachable, url + ": the answer is no JSON");
        }
        return value;
    }
    const auto message = value.is_object() && value.value("error", json()).is_object()
                             ? value["error"].value("message", std::string())
                             : "status " + std::to_string(reply.status);
    return fail(code_of(reply.status), message);
}

void wait(std::chrono::milliseconds delay, const std::stop_token& stop) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any woken;
    woken.wait_for(lock, stop, delay, [] { return false; });
}

} // namespace

void add_flags(CLI::App& app, OrchestratorFlags& flags) {
    app.add_option("--orchestrator", flags.urls,
                   "URL of an orchestrator, https://HOST:PORT; several, separated by commas")
        ->envname("SLIPWAY_ORCHESTRATOR")
        ->delimiter(',');
    tls::add_flags(app, flags.tls);
    app.get_option("--tls-cert")->envname("SLIPWAY_TLS_CERT");
    app.get_option("--tls-key")->envname("SLIPWAY_TLS_KEY");
    app.get_option("--tls-ca")->envname("SLIPWAY_TLS_CA");
    app.get_option("--tls-crl")->envname("SLIPWAY_TLS_CRL");
}

Result<OrchestratorClient> OrchestratorClient::open(const OrchestratorFlags& flags,
                                                    std::stop_token stop) {
    if (flags.urls.empty()) {
        return fail(Errc::usage, "which orchestrator? --orchestrator https://HOST:PORT, or "
                                 "SLIPWAY_ORCHESTRATOR in the environment");
    }
    auto urls = flags.urls;
    for (auto& url : urls) {
        if (!url.starts_with("https://")) {
            return fail(Errc::usage, "--orchestrator " + url + ": must begin with https://");
        }
        while (url.ends_with('/')) {
            url.pop_back();
        }
    }
    if (!flags.tls.given()) {
        return fail(Errc::usage,
                    "who asks? --tls-cert, --tls-key and --tls-ca, or SLIPWAY_TLS_CERT, "
                    "SLIPWAY_TLS_KEY and SLIPWAY_TLS_CA in the environment");
    }
    auto credentials = load_credentials(flags.tls);
    if (!credentials) {
        return tl::unexpected(credentials.error());
    }
    return OrchestratorClient(std::move(urls), HttpClient(std::move(*credentials)),
                              std::move(stop));
}

Result<json> OrchestratorClient::ask(const HttpRequest& request, const std::string& path) {
    const HttpLimits limits{.body_bytes_max = 64ULL * 1024 * 1024,
                            .connect_timeout = std::chrono::milliseconds(3'000),
                            .bytes_per_s_min = 1,
                            .stall_timeout = std::chrono::seconds(60)};
    const auto until = Clock::now() + take_over;
    for (std::size_t attempt = 1;; ++attempt) {
        const auto url = urls_[present_] + path;
        const auto reply = http_.request(url, request, limits, stop_);
        auto answer = reply ? body_of(*reply, url) : Result<json>(tl::unexpected(reply.error()));
        if (answer || answer.error().code != Errc::unreachable || stop_.stop_requested()) {
            return answer;
        }
        present_ = (present_ + 1) % urls_.size();
        if (attempt % urls_.size() == 0) {
            if (Clock::now() > until) {
                return answer;
            }
            wait(std::chrono::milliseconds(250), stop_);
        }
    }
}

Result<json> OrchestratorClient::get(const std::string& path) {
    return ask({}, path);
}

Result<json> OrchestratorClient::change(const std::string& method, const std::string& path,
                                        const json& body) {
    return ask({.method = method,
                .body = body.dump(),
                .headers = {"Idempotency-Key: " + random_digits(32)}},
               path);
}

Result<json> OrchestratorClient::list(const std::string& path, std::size_t limit) {
    auto all = json::array();
    std::string after;
    do {
        const auto count = std::min(limit - all.size(), page_limit);
        auto page = get(path + (path.find('?') == std::string::npos ? "?" : "&") +
                        "limit=" + std::to_string(count) +
                        (after.empty() ? "" : "&after=" + path_part(after)));
        if (!page) {
            return page;
        }
        const auto items = page->value("items", json::array());
        all.insert(all.end(), items.begin(), items.end());
        const auto next = page->value("next", json());
        after = next.is_string() ? next.get<std::string>() : std::string();
    } while (!after.empty() && all.size() < limit);
    return all;
}

std::string path_part(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            std::string_view("-._~").find(c) != std::string_view::npos) {
            out += c;
        } else {
            const auto byte = static_cast<std::uint8_t>(c);
            out += "%" + to_hex(ByteSpan(&byte, 1));
        }
    }
    return out;
}

} // namespace slipway::cli
