#pragma once

// What the log says: all that happened to the fleet's durable state, one record a transition. The
// log is the audit. docs/orchestrator.md lists the kinds and fields.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "orchestrator/core/deployment.h"

namespace slipway::orchestrator {

/// An orchestrator took the lease: its commands bear this epoch.
struct EpochBegan {
    std::uint64_t epoch = 0;
    std::string holder;
    bool operator==(const EpochBegan&) const = default;
};
/// The machine's clock, so that a restart does not begin a long bake anew.
struct ClockKept {
    bool operator==(const ClockKept&) const = default;
};
struct HostSeen { ///< A host is new, or its labels changed.
    std::string host;
    Labels labels;
    bool operator==(const HostSeen&) const = default;
};
struct HostForgotten {
    std::string host;
    std::string by;
    bool operator==(const HostForgotten&) const = default;
};
struct EnvironmentPut {
    EnvironmentKey key;
    EnvironmentSpec spec;
    std::optional<Release> good; ///< What the fleet runs already: becomes last-known-good.
    std::string by;
    bool operator==(const EnvironmentPut&) const = default;
};
struct FreezePut {
    std::string scope, by, why;
    bool operator==(const FreezePut&) const = default;
};
struct FreezeRemoved {
    std::string scope, by;
    bool operator==(const FreezeRemoved&) const = default;
};
struct DeploymentCreated {
    std::string deployment;
    EnvironmentKey key;
    std::optional<Release> from;
    Release to;
    Strategy strategy;
    std::string plan_id;
    std::vector<Batch> batches;
    bool is_rollback = false;
    bool emergency = false;
    std::string by, why;
    bool operator==(const DeploymentCreated&) const = default;
};
struct StagingEnded {
    std::string deployment;
    std::vector<std::string> missing; ///< Hosts that have not staged, within the offline budget.
    std::string by;                   ///< Who promoted past them, if somebody did.
    bool operator==(const StagingEnded&) const = default;
};
struct HostsOrdered { ///< Hosts are ordered to run the release, or back to last-known-good.
    std::string deployment;
    std::vector<std::string> hosts;
    bool back = false;
    bool operator==(const HostsOrdered&) const = default;
};
struct HostChange {
    std::string host;
    HostStep step = HostStep::waiting;
    std::string why;
    bool operator==(const HostChange&) const = default;
};
struct HostsChanged {
    std::string deployment;
    std::vector<HostChange> changes;
    bool operator==(const HostsChanged&) const = default;
};
struct BatchReady {
    std::string deployment;
    std::uint32_t batch = 0;
    bool operator==(const BatchReady&) const = default;
};
struct GateAnswered {
    std::string deployment;
    std::uint32_t batch = 0;
    std::string gate;
    GateVerdict verdict = GateVerdict::hold;
    std::string why;
    std::string by; ///< Of an approval.
    bool operator==(const GateAnswered&) const = default;
};
struct Evidence {
    std::string gate; ///< "ready", "bake", or the gate's name.
    GateVerdict verdict = GateVerdict::hold;
    std::string why;
    bool operator==(const Evidence&) const = default;
};
struct BatchPassed {
    std::string deployment;
    std::uint32_t batch = 0;
    std::vector<Evidence> evidence; ///< Of every gate; a hold only if `by` went past it.
    std::string by;                 ///< Who promoted, if somebody did.
    bool operator==(const BatchPassed&) const = default;
};
struct BatchBegan {
    std::string deployment;
    std::uint32_t batch = 0;
    bool operator==(const BatchBegan&) const = default;
};
struct Paused {
    std::string deployment, by, why;
    bool operator==(const Paused&) const = default;
};
struct Resumed {
    std::string deployment, by, why;
    bool operator==(const Resumed&) const = default;
};
struct Promoted { ///< The rest of the deployment goes without bakes and gates.
    std::string deployment, by, why;
    bool operator==(const Promoted&) const = default;
};
struct RollbackBegan {
    std::string deployment;
    std::string cause;       ///< The gate with its numbers, or the person with the reason.
    std::string by;          ///< Empty: the machine.
    bool quarantine = false; ///< The release may not be deployed again, but with `retry`.
    bool emergency = false;
    bool operator==(const RollbackBegan&) const = default;
};
struct EmergencyDeclared { ///< A way back that goes on ignores the budget.
    std::string deployment, by, why;
    bool operator==(const EmergencyDeclared&) const = default;
};
struct DeploymentEnded {
    std::string deployment;
    Phase phase = Phase::succeeded;
    std::string summary;
    bool operator==(const DeploymentEnded&) const = default;
};

using Record = std::variant<EpochBegan, ClockKept, HostSeen, HostForgotten, EnvironmentPut,
                            FreezePut, FreezeRemoved, DeploymentCreated, StagingEnded, HostsOrdered,
                            HostsChanged, BatchReady, GateAnswered, BatchPassed, BatchBegan, Paused,
                            Resumed, Promoted, RollbackBegan, EmergencyDeclared, DeploymentEnded>;

/// A record and when it was: on the wall for people, and on the machine's clock for the machine.
struct Logged {
    Record record;
    std::int64_t at_unix_ms = 0;
    std::int64_t clock_ms = 0;
    bool operator==(const Logged&) const = default;
};

/// "deployment_created", ...: LogRecord::kind.
[[nodiscard]] std::string_view kind_of(const Record& record);
/// LogRecord::deployment: empty if it is of none.
[[nodiscard]] std::string deployment_of(const Record& record);

inline constexpr std::size_t record_bytes_max = std::size_t{8} * 1024 * 1024;
/// LogRecord::body: JSON, {"version": 1, "clock_ms": ..., fields}.
[[nodiscard]] std::string encode_record(const Logged& logged);
/// Error: Errc::verification_failed, naming `what` and the field. Fields that this version does
/// not know are let be; a kind or version that it does not know is refused.
[[nodiscard]] Result<Logged> decode_record(std::string_view kind, std::int64_t at_unix_ms,
                                           std::string_view body, std::string_view what);

} // namespace slipway::orchestrator
