#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>

#include "common/core/result.h"
#include "common/io/http_client.h"
#include "common/tls/files.h"

namespace slipway::cli {

/// Where the orchestrators are and who asks them: flags, or the environment.
struct OrchestratorFlags {
    std::vector<std::string> urls;
    tls::TlsFiles tls;
};
void add_flags(CLI::App& app, OrchestratorFlags& flags);

/// Asks the orchestrator that drives. With several URLs the next one is asked when one does not
/// answer or does not drive; a take-over, which lasts up to 3 s, is waited for.
///
/// Writes bear an idempotency key, so that asking again never does a thing twice.
class OrchestratorClient {
public:
    /// Errors: Errc::usage (no URL, files that are missing), those of tls::Credentials::load().
    [[nodiscard]] static Result<OrchestratorClient> open(const OrchestratorFlags& flags,
                                                         std::stop_token stop);

    [[nodiscard]] Result<nlohmann::json> get(const std::string& path);
    /// `method`: "POST", "PUT" or "DELETE".
    [[nodiscard]] Result<nlohmann::json> change(const std::string& method, const std::string& path,
                                                const nlohmann::json& body);
    /// All entries of a list, page by page; at most `limit`.
    [[nodiscard]] Result<nlohmann::json> list(const std::string& path, std::size_t limit);

private:
    OrchestratorClient(std::vector<std::string> urls, HttpClient http, std::stop_token stop)
        : urls_(std::move(urls)), http_(std::move(http)), stop_(std::move(stop)) {}
    [[nodiscard]] Result<nlohmann::json> ask(const HttpRequest& request, const std::string& path);

    std::vector<std::string> urls_;
    std::size_t present_ = 0; ///< In urls_: who answered last.
    HttpClient http_;
    std::stop_token stop_;
};

/// `text` as a part of a path: all but letters, digits and "-._~" escaped.
[[nodiscard]] std::string path_part(const std::string& text);

} // namespace slipway::cli
