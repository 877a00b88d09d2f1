#include "orchestrator/io/prometheus.h"

#include "common/core/errc.h"
#include "orchestrator/io/outgoing.h"

namespace slipway::orchestrator {
namespace {

std::string encoded(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char byte : text) {
        const auto value = static_cast<unsigned char>(byte);
        if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
            (byte >= '0' && byte <= '9') || byte == '_' || byte == '.' || byte == '-') {
            out += byte;
        } else {
            out += '%';
            out += digits[value >> 4U];
            out += digits[value & 15U];
        }
    }
    return out;
}

} // namespace

Prometheus::Prometheus(Options options, HttpClient client)
    : options_(std::move(options)), client_(std::move(client)) {}

Result<Prometheus> Prometheus::make(Options options) {
    if (auto checked = check_outgoing_url(options.url, options.plain_http); !checked) {
        return tl::unexpected(checked.error());
    }
    if (options.url.find('?') != std::string::npos) {
        return fail(Errc::usage, "the URL of a Prometheus server has no query");
    }
    auto client = make_outgoing_client(options.ca_file);
    if (!client) {
        return tl::unexpected(client.error());
    }
    while (options.url.ends_with('/')) {
        options.url.pop_back();
    }
    return Prometheus(std::move(options), std::move(*client));
}

MetricReading Prometheus::query(const std::string& promql, std::int64_t now_unix_ms,
                                std::stop_token stop) {
    HttpRequest request;
    request.method = "POST";
    request.type = "application/x-www-form-urlencoded";
    // An instant query's samples bear the time of the query: how old a scrape may be, the server
    // is to say (lookback_delta).
    request.body = "query=" + encoded(promql) +
                   "&lookback_delta=" + std::to_string(options_.stale_after.count()) +
                   "s&timeout=" + std::to_string(options_.timeout.count()) + "ms";
    if (!options_.token_file.empty()) {
        auto token = read_secret(options_.token_file);
        if (!token) {
            return {{}, describe(token.error())};
        }
        request.headers.push_back("Authorization: Bearer " + *token);
    }
    HttpLimits limits;
    limits.body_bytes_max = options_.answer_bytes_max;
    limits.connect_timeout = limits.total_timeout = options_.timeout;
    auto reply = client_.request(options_.url + "/api/v1/query", request, limits, std::move(stop));
    if (!reply) {
        return {{}, describe(reply.error())};
    }
    return parse_metric_answer(reply->status, as_text(reply->body), now_unix_ms,
                               options_.stale_after);
}

} // namespace slipway::orchestrator
