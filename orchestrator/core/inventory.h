#pragma once

// Hosts, environments, freezes: what is deployed to. Pure.

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/api/desired.h"
#include "orchestrator/core/api_rules.h"
#include "orchestrator/core/strategy.h"

namespace slipway::orchestrator {

/// What a service runs: an artifact, its digest if the operator gave it, and which attempt it is.
using Release = api::Wanted;
/// Whether a host that says it runs `artifact` of `digest` runs `release`.
[[nodiscard]] bool is_release(const Release& release, const std::string& artifact,
                              const std::optional<Sha256Digest>& digest);
/// The same bytes, whatever the attempt.
[[nodiscard]] bool same_bytes(const Release& one, const Release& other);

/// A service in an environment: what a deployment moves from one release to another.
struct EnvironmentKey {
    std::string service;
    std::string environment; ///< [a-z0-9][a-z0-9._-]*, at most 64 bytes.
    auto operator<=>(const EnvironmentKey&) const = default;
    [[nodiscard]] std::string text() const { return service + "/" + environment; }
};
[[nodiscard]] Result<std::string> parse_environment_name(std::string_view text);

/// What `put environment` sets.
struct EnvironmentSpec {
    Labels selector;                  ///< The hosts that have all these labels; empty: all hosts.
    std::optional<Strategy> strategy; ///< Of deployments that name none. Default: canary.
    bool operator==(const EnvironmentSpec&) const = default;
};

/// An environment of a service. A host belongs to the first environment of a service, by name,
/// that selects it.
struct Environment {
    EnvironmentSpec spec;
    /// Last-known-good: the release that finished its bake last. What every host that no
    /// deployment has moved should run.
    std::optional<Release> good;
    /// Goods before it, newest last; what `rollback` by hand goes back to. At most 16.
    std::vector<Release> earlier;
    std::vector<Release> quarantined; ///< Newest last, at most 64.
    /// Releases that did not become good, with the attempt: hosts may have quarantined them, so
    /// that the next deployment is another attempt. Newest last, at most 256.
    std::vector<Release> tried;
    std::string active; ///< Deployment that is not over, or empty.
    bool operator==(const Environment&) const = default;
};

/// What stops forward moves. `scope`: "all", "environment:ENV", "service:SERVICE" or
/// "service:SERVICE/ENV".
struct Freeze {
    std::string scope;
    std::string by, why;
    std::int64_t since_unix_ms = 0;
    bool operator==(const Freeze&) const = default;
};
/// Error: Errc::usage.
[[nodiscard]] Result<> check_freeze_scope(std::string_view scope);
[[nodiscard]] bool covers(std::string_view scope, const EnvironmentKey& key);

/// The value of a label, or "" if the host has none.
[[nodiscard]] std::string label_of(const Labels& labels, std::string_view name);

} // namespace slipway::orchestrator
