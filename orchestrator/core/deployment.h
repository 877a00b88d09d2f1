#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/core/deployment_plan.h"
#include "orchestrator/core/gate_answers.h"

namespace slipway::orchestrator {

/// Where a deployment stands.
///
///     staging -> moving -> baking -> moving (next batch) -> ... -> succeeded
///         \         \         \----> rolling_back -> rolled_back | failed
///          \         \-------------> rolling_back
///           \----------------------> rolled_back (nothing was touched)
enum class Phase {
    staging,      ///< Bytes are brought to all hosts.
    moving,       ///< Hosts of the batch are ordered to run the release, within the budget.
    baking,       ///< All of the batch are ready; they must stay so, and gates are asked.
    pausing,      ///< The batch passed; the strategy's pause goes by.
    rolling_back, ///< All touched hosts go back to last-known-good.
    succeeded,    ///< The release is last-known-good.
    rolled_back,  ///< Last-known-good runs on all touched hosts that can be reached.
    failed,       ///< There was no last-known-good to go back to. Nothing more is done.
};
[[nodiscard]] std::string_view to_string(Phase phase);
[[nodiscard]] constexpr bool is_over(Phase phase) {
    return phase >= Phase::succeeded;
}

/// A host's part in a deployment.
enum class HostStep {
    waiting,   ///< Not touched; if it is offline when its turn comes, its turn is when it is back.
    moving,    ///< Ordered to run the release.
    ready,     ///< Runs it and is ready.
    failed,    ///< Its probe failed, it crashed, or it was not ready in time.
    returning, ///< Ordered back to last-known-good. One that is offline gets it when it is back.
    returned,  ///< Runs last-known-good and is ready.
    stuck,     ///< Ordered back, and not ready in time. A person must look.
};
[[nodiscard]] std::string_view to_string(HostStep step);
/// Whether the deployment ordered the release on this host.
[[nodiscard]] constexpr bool is_touched(HostStep step) {
    return step != HostStep::waiting;
}

struct HostProgress {
    HostStep step = HostStep::waiting;
    std::uint32_t batch = 0;
    std::int64_t since_ms = 0;    ///< On the machine's clock: when `step` began.
    std::uint64_t generation = 0; ///< Of the last order.
    std::string why;              ///< Of failed and stuck.
    bool operator==(const HostProgress&) const = default;
};

/// What is known of a gate of the present batch.
struct GateState {
    GateVerdict verdict = GateVerdict::hold;
    std::string why;
    std::string by; ///< Of approvals and overrides: who.
    std::int64_t at_ms = 0;
    bool operator==(const GateState&) const = default;
};

/// One move of an environment from a release to another: what the log says of it.
struct Deployment {
    std::string id; ///< "d000017".
    EnvironmentKey key;
    std::optional<Release> from;
    Release to;
    Strategy strategy;
    std::string plan_id;
    std::vector<Batch> batches;
    bool is_rollback = false; ///< By hand, of a release that is last-known-good: no batches.
    std::string by, why;
    std::int64_t created_unix_ms = 0;
    std::int64_t ended_unix_ms = 0;

    Phase phase = Phase::staging;
    std::int64_t since_ms = 0; ///< On the machine's clock: when `phase` began.
    std::uint32_t batch = 0;
    std::map<std::string, GateState> gates; ///< Of this batch, by name; what was answered.
    bool paused = false;
    bool promoted = false;   ///< By `promote --full`: the rest goes without bakes and gates,
    std::string promoted_by; ///< because of this person.
    bool emergency = false;  ///< The way back ignores the unavailability budget.
    std::string cause;       ///< Of the way back: who or what, and the numbers.
    std::map<std::string, HostProgress> hosts;
    bool operator==(const Deployment&) const = default;
};

/// What a deployment that is not over waits for.
enum class WaitKind {
    staging,   ///< Hosts that have not staged.
    budget,    ///< Hosts that are down: no other may be taken down.
    readiness, ///< Hosts that were ordered to run the release.
    offline,   ///< More hosts are offline than the offline budget, or all of the batch.
    bake,
    gate,     ///< Its answer.
    approval, ///< A person.
    pause,    ///< The strategy's pause.
    resume,   ///< A person paused it.
    freeze,
    going_back, ///< Hosts that go back to last-known-good.
    nothing,    ///< It is over.
};
[[nodiscard]] std::string_view to_string(WaitKind kind);

struct Waiting {
    WaitKind kind = WaitKind::nothing;
    std::string what;                 ///< A sentence, with numbers.
    std::optional<Milliseconds> left; ///< Until this at the latest; none: as long as it takes.
    std::vector<std::string> hosts;   ///< Whom for, at most 20.
    std::size_t hosts_in_all = 0;
    std::string gate; ///< Name of the gate.
    /// The command of a person that ends it: "slipway approve ID", or empty.
    std::string unblock;
    /// Whether it may wait for ever unless somebody acts.
    bool needs_a_person = false;
};

} // namespace slipway::orchestrator
