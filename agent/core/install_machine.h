#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/core/release_id.h"
#include "common/api/desired.h"

namespace slipway::agent {

/// A release by what it is, not by where it lies.
struct Release {
    ArtifactId artifact;
    Sha256Digest digest; ///< Of the manifest.
    bool operator==(const Release&) const = default;
    [[nodiscard]] ReleaseId id() const { return ReleaseId::of(artifact, digest); }
};

/// Where a service stands, for people and reports.
enum class Phase {
    idle,         ///< Nothing is wanted, or it is yet to be looked at.
    staging,      ///< Bytes are brought to the disk.
    staged,       ///< What should be staged is; nothing else is wanted.
    switching,    ///< Hooks, the switch, the restart.
    probing,      ///< The new release runs; it has not answered yet.
    baking,       ///< It answered, and must keep doing so for its bake time.
    healthy,      ///< What should run does, and held its probe.
    rolling_back, ///< The probe failed: back to the release that last held.
    rolled_back,  ///< That release holds again. What failed is not tried again by itself.
    quarantined,  ///< What should run failed on this host before; what ran before still does.
    failed,       ///< Nothing that may be run holds. Waits for another order.
};
[[nodiscard]] std::string_view to_string(Phase phase);

/// One thing that the world is asked to do. Each may be asked again after a restart under the same
/// number, and must then come to the same end.
enum class Step {
    stage,       ///< Fetch and build; never touches what runs.
    pre_switch,  ///< Hook of the new release, while the old one runs.
    pre_stop,    ///< Hook of the running release.
    on_rollback, ///< Hook of the release that failed.
    switch_to,   ///< `current` names the release.
    post_switch, ///< Hook of the new release.
    restart,     ///< The service runs `current`.
    probe,       ///< Ends done when the service is ready.
    bake,        ///< Ends done when it stayed ready for its bake time.
};
[[nodiscard]] std::string_view to_string(Step step);

/// The lists of steps that work can be. There is no other way to a switch, and each list ends.
enum class Course {
    ahead,   ///< stage only.
    forward, ///< stage, pre_switch, pre_stop, switch_to, post_switch, restart, probe, bake.
    back,    ///< pre_stop, on_rollback, switch_to, post_switch, restart, probe.
};

[[nodiscard]] std::size_t steps_in(Course course);

struct Work {
    Course course = Course::ahead;
    api::Wanted wanted = {};                       ///< Of courses ahead and forward.
    std::optional<Release> release = std::nullopt; ///< Known from the end of `stage` on.
    std::size_t at = 0;                            ///< Index of the step in the course.
    std::uint64_t number = 0;                      ///< Of the action that was asked for last.
    std::uint32_t tries = 0;                       ///< Of this step.
    bool operator==(const Work&) const = default;
    [[nodiscard]] Step step() const;
};

/// A release that failed on this host; it is run again only when `attempt` is exceeded.
struct Quarantined {
    Release release;
    std::uint32_t attempt = 0;
    std::string why;
    bool operator==(const Quarantined&) const = default;
};

/// All that the machine of one service remembers. What is not in here is not decided upon.
struct InstallState {
    std::uint64_t epoch = 0;
    std::uint64_t generation = 0; ///< Of the epoch.
    api::ServiceDesired desired;
    Phase phase = Phase::idle;
    std::int64_t since_unix_s = 0;       ///< When `phase` began; for people only.
    std::optional<Release> running;      ///< What `current` names, as far as it is known.
    std::optional<Release> good;         ///< The release that last held: where a rollback leads.
    std::vector<Release> staged;         ///< Of `desired.stage`.
    std::vector<Quarantined> quarantine; ///< Oldest first; quarantine_max at most.
    std::optional<Work> work;
    std::uint64_t next_number = 1;
    std::string last_error; ///< Why the last step failed, or both reasons of a failed rollback.
    bool operator==(const InstallState&) const = default;
};
inline constexpr std::size_t quarantine_max = 64;
inline constexpr std::size_t reason_bytes_max = 1024;

/// Events. A number that is not the one asked for last is late, and ignored.
struct Desire { ///< Given at every look, changed or not.
    std::uint64_t epoch = 0;
    api::ServiceDesired service;
    std::uint64_t generation = 0;
};
struct Done {
    std::uint64_t number = 0;
    std::optional<Release> release; ///< Of `stage`: what was staged.
};
struct Failed {
    std::uint64_t number = 0;
    std::string why;
    bool release_is_bad = true; ///< False: the world was in the way (network, disk); try again.
};
struct Observed { ///< What `current` names, at start and whenever somebody looked.
    std::optional<Release> current;
};
struct Wake {}; ///< The time that `Wait` asked for has come.
using Event = std::variant<Desire, Done, Failed, Observed, Wake>;

/// Actions.
struct Perform {
    std::uint64_t number = 0;
    Step step = Step::stage;
    std::optional<api::Wanted> wanted; ///< Of `stage`.
    std::optional<Release> release;    ///< Of all others.
    bool operator==(const Perform&) const = default;
};
struct Abandon { ///< Nobody waits for this number any more; its work may be stopped.
    std::uint64_t number = 0;
    bool operator==(const Abandon&) const = default;
};
struct Wait {
    std::chrono::milliseconds delay{};
    bool operator==(const Wait&) const = default;
};
struct Report { ///< The phase changed, or an order was refused.
    std::string kind;
    std::optional<Release> release;
    std::string why;
    bool operator==(const Report&) const = default;
};
using Action = std::variant<Perform, Abandon, Wait, Report>;

struct MachineOptions {
    std::chrono::milliseconds retry_first{2'000};
    std::chrono::milliseconds retry_most{300'000};
    std::uint32_t switch_tries_max =
        5;                  ///< Of one step after `stage`, when the world is in the way.
    std::uint64_t seed = 0; ///< Spreads the retries of a fleet.
};

struct Stepped {
    InstallState state;
    std::vector<Action> actions;
};

/// The next state and what is to be done. Before the actions take effect the state must be durable.
///
/// Guarantees, for any order of events and restarts:
/// - `switch_to` is asked for at most twice for one `desired` (forward, back), each with
///   `switch_tries_max` tries; so there is no loop and no ping-pong;
/// - a release in quarantine is not switched to, unless a higher `attempt` orders it;
/// - a course ahead asks for `stage` only;
/// - an older epoch, or an older generation of the epoch, changes nothing but gives a report.
[[nodiscard]] Stepped step(const MachineOptions& options, InstallState state, const Event& event,
                           std::int64_t now_unix_s);

/// What to do after a restart: the outstanding action again, under its number.
[[nodiscard]] std::vector<Action> resume(const InstallState& state);

} // namespace slipway::agent
