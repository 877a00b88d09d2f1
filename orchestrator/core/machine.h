#pragma once

// The deployment machine: decides what the fleet does next. Pure: no clock, no I/O, no threads, no
// randomness; equal inputs give equal outputs. docs/orchestrator.md describes it.
//
//     events -> step() -> records   the shell commits them (Store::commit), and only then
//                      -> commands  performs these
//
// The shell may step several events before it commits once; it must hold the commands of all of
// them until then. When a commit is fenced, the state is thrown away with everything in it. A
// restart is: read the log, apply() each record, step(Started).

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "orchestrator/core/fleet_state.h"

namespace slipway::orchestrator {

/// When an event happened. `unix_ms` is for people. `steady_ms` never goes back while the process
/// lives; of the time between two calls at most `watch_gap_max` counts: a bake does not go on while
/// nobody watches, whatever clocks do.
struct Instant {
    std::int64_t unix_ms = 0;
    std::int64_t steady_ms = 0;
};
inline constexpr Milliseconds watch_gap_max{2'000};

// --- Events.

/// First after the log was applied. `epoch` is the lease's token.
struct Started {
    std::uint64_t epoch = 0;
    std::string holder;
};
/// To be given every 100 ms or so. Good news waits for it; bad news is acted on at once.
struct Tick {};
struct HostLost { ///< From Liveness. A HostReport brings it back.
    std::string host;
};
/// The answer of an AskGate. One that is not for the present batch is ignored.
struct GateSaid {
    std::string deployment;
    std::uint32_t batch = 0;
    std::string gate;
    std::uint64_t number = 0; ///< Of the AskGate.
    GateAnswer answer;
};

// Requests of people. Their Outcome::answer is an id (the deployment's; empty: there was nothing to
// do, or it is of none) or a refusal, which leaves no record: Errc::usage, Errc::not_found,
// Errc::busy (another deployment is active, or in the wrong phase), Errc::changed (the plan is
// another), Errc::forbidden (frozen, quarantined).
struct Deploy {
    EnvironmentKey key;
    ArtifactId artifact;
    std::optional<Sha256Digest> digest; ///< Wanted: without, hosts may resolve the name.
    std::optional<Strategy> strategy;   ///< Default: the environment's, else canary.
    std::string check_plan;             ///< Empty: any plan will do.
    bool retry = false;                 ///< Although it is quarantined: another attempt.
    std::string by, why;
};
struct Pause {
    std::string deployment, by, why;
};
struct Resume {
    std::string deployment, by, why;
};
/// Goes past what the batch waits for: bake, gates without an answer, hosts that are offline or
/// have not staged; never past a failure. `full`: the rest of the deployment too.
struct Promote {
    std::string deployment, by, why;
    bool full = false;
};
struct Abort { ///< All touched hosts go back; the release is not quarantined.
    std::string deployment, by, why;
};
struct Approve {
    std::string deployment;
    std::string gate; ///< Empty: the only approval that is waited for.
    bool approved = true;
    std::string by, why;
};
/// The active deployment goes back and its release is quarantined; if there is none, the
/// environment goes from last-known-good to the one before. On one that goes back already:
/// `emergency` is declared.
struct RollBack {
    EnvironmentKey key;
    bool emergency = false;
    std::string by, why;
};
struct PutFreeze {
    std::string scope, by, why;
};
struct RemoveFreeze {
    std::string scope, by;
};
struct PutEnvironment {
    EnvironmentKey key;
    EnvironmentSpec spec;
    std::optional<Release> good; ///< What the fleet runs already, if there is no last-known-good.
    std::string by;
};
struct ForgetHost { ///< Of a host that is not there.
    std::string host, by;
};

using Event =
    std::variant<Started, Tick, HostReport, HostLost, GateSaid, Deploy, Pause, Resume, Promote,
                 Abort, Approve, RollBack, PutFreeze, RemoveFreeze, PutEnvironment, ForgetHost>;

// --- Commands.

/// What a host should come to, whole. Idempotent by (epoch, generation): the latest replaces all
/// before. `deployment` says why, and is empty when it is none's doing.
struct OrderHost {
    std::string deployment;
    std::string host;
    std::uint64_t epoch = 0;
    std::uint64_t generation = 0;
    api::Desired desired;
};
/// To be answered by a GateSaid with the same number, in the end; a hold if there is no answer.
/// Asked again each `spec.interval` until it is decided; a comparison keeps its judge from one
/// question of a batch to the next.
struct AskGate {
    std::string deployment;
    EnvironmentKey key;
    std::uint32_t batch = 0;
    std::uint64_t number = 0;
    GateSpec spec;
    std::vector<std::string> canary, baseline; ///< Of compare.
    Milliseconds baked{};                      ///< How long the batch has been baking.
    std::uint32_t judges = 1; ///< Comparisons of the deployment: they share its false alarms.
};
/// Something that people want to know.
struct Notify {
    std::string kind; ///< "deployment.rolling_back", ...
    std::string deployment;
    std::string body; ///< JSON.
};
using Command = std::variant<OrderHost, AskGate, Notify>;

struct Outcome {
    Result<std::string> answer = std::string();
    std::vector<Logged> records;
    std::vector<Command> commands;
};

/// Decides, and changes `state` by applying the records that it gives. Cost: some microseconds for
/// a report that changes nothing; else about a microsecond for each host of the deployment.
[[nodiscard]] Outcome step(FleetState& state, const Event& event, Instant now);

// --- Questions.

/// What a host should come to.
[[nodiscard]] OrderHost order_of(const FleetState& state, const std::string& host);
/// What `Deploy` would do; no batches: there is nothing to do. The same refusals.
[[nodiscard]] Result<DeploymentPlan> plan_of(const FleetState& state, const Deploy& deploy);
/// What a deployment waits for and until when. Error: Errc::not_found.
[[nodiscard]] Result<Waiting> waiting_for(const FleetState& state, const std::string& deployment);

/// How many hosts of a deployment are in each step.
struct Progress {
    std::map<HostStep, std::size_t> hosts;
    std::size_t staged = 0; ///< Of those that wait, when last heard of.
    std::size_t offline = 0;
};
[[nodiscard]] Progress progress_of(const FleetState& state, const Deployment& deployment);

/// Hosts of an environment that do not serve, as far as the machine knows: lost, unknown, not
/// ready, or ordered to change and not ready again.
[[nodiscard]] std::set<std::string> unavailable_hosts(const FleetState& state,
                                                      const EnvironmentKey& key);
/// The freeze that holds an environment's deployments, if any.
[[nodiscard]] const Freeze* freeze_of(const FleetState& state, const EnvironmentKey& key);

} // namespace slipway::orchestrator
