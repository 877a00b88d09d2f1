#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>

#include "common/io/http_client.h"
#include "orchestrator/core/gate_answers.h"

namespace slipway::orchestrator {

/// A Prometheus server, or what speaks its query API (Thanos, Mimir, VictoriaMetrics).
///
/// Threads: one thread at a time. Blocking: at most `timeout` for a query.
class Prometheus {
public:
    struct Options {
        std::string url; ///< "https://prometheus.example:9090", with a path prefix if it has one.
        bool plain_http = false;            ///< See check_outgoing_url().
        std::filesystem::path token_file{}; ///< Bearer token; empty: none.
        std::filesystem::path ca_file{};    ///< Empty: the system's authorities.
        std::chrono::milliseconds timeout{5'000};
        std::uint64_t answer_bytes_max = 4ULL * 1024 * 1024;
        /// Samples that were scraped longer ago count as missing.
        std::chrono::seconds stale_after{60};
    };
    /// Errors: Errc::usage: the URL or the authorities' file.
    [[nodiscard]] static Result<Prometheus> make(Options options);

    /// Evaluates `promql` at the server's present time. What goes wrong is in `missing`.
    [[nodiscard]] MetricReading query(const std::string& promql, std::int64_t now_unix_ms,
                                      std::stop_token stop = {});

private:
    Prometheus(Options options, HttpClient client);
    Options options_;
    HttpClient client_;
};

} // namespace slipway::orchestrator
