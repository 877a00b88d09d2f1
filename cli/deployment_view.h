#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace slipway::cli {

// What the orchestrator's answers look like to a person. Pure: lines out of JSON
// (docs/api/orchestrator.yaml). Fields that are not there are left out.

/// GET /v1/deployments/{id}: a tree of its batches, and what it waits for.
[[nodiscard]] std::vector<std::string> deployment_lines(const nlohmann::json& deployment,
                                                        std::int64_t now_unix_ms);
/// POST /v1/plans: hosts in order, batches, gates, bytes.
[[nodiscard]] std::vector<std::string> plan_lines(const nlohmann::json& plan);
/// GET /v1/services, and the deployments that are not over.
[[nodiscard]] std::vector<std::string> fleet_lines(const nlohmann::json& services);
/// One line for an entry of GET /v1/history, /v1/audit or /v1/hosts.
[[nodiscard]] std::string history_line(const nlohmann::json& deployment);
[[nodiscard]] std::string audit_line(const nlohmann::json& record);
[[nodiscard]] std::string host_line(const nlohmann::json& host);

/// "2026-11-26 16:40:00" in UTC.
[[nodiscard]] std::string utc_text(std::int64_t unix_ms);
/// "42 s", "3 min", "2 h 5 min", "4 d".
[[nodiscard]] std::string duration_text(std::int64_t ms);

} // namespace slipway::cli
