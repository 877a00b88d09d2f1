#pragma once

// The JSON that the API gives of the fleet's state (docs/api/orchestrator.yaml). Pure.

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "orchestrator/core/machine.h"

namespace slipway::orchestrator {

/// An entry of a list of deployments.
[[nodiscard]] nlohmann::json deployment_summary(const Deployment& deployment);
/// The same with batches, gates, counts, and what it waits for and until when.
[[nodiscard]] nlohmann::json deployment_view(const FleetState& state, const Deployment& deployment,
                                             std::int64_t now_unix_ms);
/// A host's part in a deployment.
[[nodiscard]] nlohmann::json deployment_host_view(const std::string& host,
                                                  const HostProgress& progress);
/// What is kept of a deployment that is over: its view and all of its hosts.
[[nodiscard]] nlohmann::json ended_deployment(const FleetState& state,
                                              const Deployment& deployment);

[[nodiscard]] nlohmann::json environment_view(const FleetState& state, const EnvironmentKey& key,
                                              const Environment& environment);
/// `seen` may be null: not heard of since this orchestrator began.
[[nodiscard]] nlohmann::json host_view(const std::string& name, const Host& host,
                                       const Seen::HostSeenNow* seen);
[[nodiscard]] nlohmann::json freeze_view(const Freeze& freeze);
/// `changes`: whether the plan moves any host. `blocked`: what would hold it up, or empty.
[[nodiscard]] nlohmann::json plan_view(const DeploymentPlan& plan, bool changes,
                                       const std::string& blocked);

/// {"artifact": "web@1.2", "digest": "…"|null, "attempt": 0}, or null.
[[nodiscard]] nlohmann::json release_view(const std::optional<Release>& release);

/// The number in a deployment's id: 17 of "d000017"; none: it is no such id.
[[nodiscard]] std::optional<std::uint64_t> deployment_number(std::string_view id);
/// Keys of ended deployments in the store, which give the newest first.
[[nodiscard]] std::string history_key(std::uint64_t number);

} // namespace slipway::orchestrator
