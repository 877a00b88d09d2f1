#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/api/sync.h"
#include "orchestrator/core/records.h"

namespace slipway::orchestrator {

/// A host as the log knows it.
struct Host {
    Labels labels;
    std::uint64_t generation = 0;               ///< Grows with each change of what it should run.
    std::map<std::string, std::string> belongs; ///< Service to environment. Derived.
    bool operator==(const Host&) const = default;
};

/// All that replaying the log gives. Only apply() changes it.
struct Durable {
    std::uint64_t epoch = 0;
    std::int64_t clock_ms = 0; ///< Time in which an orchestrator watched; see Instant.
    std::uint64_t deployments_ever = 0;
    /// Above it are the generations of hosts that are seen for the first time: a host that was
    /// forgotten and comes back has obeyed lower ones.
    std::uint64_t generation_floor = 0;
    std::map<std::string, Host> hosts;
    std::map<EnvironmentKey, Environment> environments;
    std::map<EnvironmentKey, std::set<std::string>> members; ///< Derived from labels.
    std::map<std::string, Freeze> freezes;
    std::map<std::string, Deployment> deployments; ///< Those that are not over, and the last ended.
    bool operator==(const Durable&) const = default;
};
inline constexpr std::size_t fleet_hosts_max = 200'000; ///< Reports of others are ignored.
/// Ended deployments beyond these are dropped from the state, oldest first; the log keeps them.
inline constexpr std::size_t ended_deployments_max = 200;

using ServiceReport = api::ServiceReport;
struct HostReport {
    std::string host;
    Labels labels;
    std::string boot;             ///< Another one: the daemon began anew, and its counters too.
    std::uint64_t epoch = 0;      ///< The highest that it has obeyed.
    std::uint64_t generation = 0; ///< Of that epoch.
    std::map<std::string, ServiceReport> services;
    bool operator==(const HostReport&) const = default;
};

enum class Presence {
    unknown, ///< Not heard of since this orchestrator began.
    present,
    lost,
};

/// What hosts and gates said since this orchestrator began. Not in the log: a restart asks again.
struct Seen {
    struct Watch { ///< Of a host that is ready in a deployment.
        std::string boot;
        std::uint64_t crashes = 0, restarts = 0; ///< At the last report.
        std::uint64_t strikes = 0;               ///< Crashes, restarts, losses of readiness.
        std::int64_t unready_since_ms = -1;      ///< On the machine's clock; -1: it is ready.
    };
    struct HostSeenNow {
        Presence presence = Presence::unknown;
        std::int64_t back_ms = 0; ///< On the machine's clock: since when it is present.
        HostReport report;
        std::map<std::string, Watch> watches; ///< By deployment.
    };
    struct Asked {
        std::uint64_t number = 0;
        std::int64_t at_ms = 0;
        std::uint32_t batch = 0;
        bool answered = true;
        bool is_final = false; ///< Asked when the bake was over: a pass decides.
        GateAnswer answer;     ///< The last one.
    };
    std::unordered_map<std::string, HostSeenNow> hosts;
    std::map<std::string, std::map<std::string, Asked>> asked; ///< By deployment and gate.
    std::set<std::string> dirty;                               ///< Deployments to look at.
    std::map<std::string, std::int64_t> looked_ms;             ///< When each was looked at.
    std::map<std::string, std::string> changed; ///< Hosts with another order, and whose doing.
    std::uint64_t asks = 0;
    std::int64_t steady_ms = -1;
    std::int64_t kept_clock_ms = 0;
};

struct FleetState {
    Durable log;
    Seen seen;
};

/// Applies a record: the only way in which the log's part of the state changes. A record that does
/// not fit (another program wrote the log) gives Errc::verification_failed, and changes nothing.
[[nodiscard]] Result<> apply(FleetState& state, const Logged& logged);

} // namespace slipway::orchestrator
