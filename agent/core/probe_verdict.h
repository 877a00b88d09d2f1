#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/format/run_spec.h"

namespace slipway::agent {

/// What one run of a probe found.
struct ProbeResult {
    enum class Outcome {
        success,
        failure,
        unknown, ///< The probe could not be made (no D-Bus, no memory): proves nothing.
    };
    Outcome outcome = Outcome::unknown;
    std::string detail; ///< Why, for a person: "HTTP status 503".
};

/// What is known about the unit or command that runs the service.
struct UnitHealth {
    bool failed = false;        ///< It is down and will not come back by itself.
    std::uint64_t restarts = 0; ///< Since any fixed point in time; only differences count.
    std::string detail;         ///< "web.service: failed (exit-code)".
};

/// Decides from probes, the unit's restarts and time whether a release that was just started is
/// good.
///
///     starting ──all probes hold──> baking ──bake time over──> healthy
///         └──────────────┬─────────────┘
///                        v
///                      failed            healthy and failed are final
///
/// - A probe *holds* after `successes` in a row. It *fails* after `failures` in a row; failures in
///   its start period count only once it succeeded. An unknown result ends both rows: what was not
///   seen is neither good nor bad.
/// - All must hold at once within `ready_within`, else the release has failed: a probe that changes
///   its mind for ever does not hold a deployment open for ever.
/// - While it bakes, a probe that fails, a unit that is down, and more than `bake_restarts`
/// restarts
///   are failures. It is over when the time is and every probe holds; at the latest `ready_within`
///   after the time.
/// - A unit that is down is a failure at once, in every state but the final ones.
///
/// Pure: time comes in, and never decreases from call to call. After a restart of the agent a new
/// verdict is begun: the release bakes again in full.
class ProbeVerdict {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    enum class State { starting, baking, healthy, failed };

    /// `start` is when the restart of the service was done.
    ProbeVerdict(const RunSpec& spec, TimePoint start);

    /// Probes (by number in the specification) that should be run at `now`. Each is given once, and
    /// again only after its result came in. None in a final state.
    [[nodiscard]] std::vector<std::size_t> due(TimePoint now);
    void probed(std::size_t probe, const ProbeResult& result, TimePoint now);
    void unit_seen(const UnitHealth& health, TimePoint now);
    /// Time alone: deadlines and the end of the bake.
    void tick(TimePoint now);

    [[nodiscard]] State state() const { return state_; }
    /// Ready to serve: it held once, and has not failed since.
    [[nodiscard]] bool ready() const { return state_ == State::baking || state_ == State::healthy; }
    /// Why it failed, or what it waits for.
    [[nodiscard]] std::string reason() const;
    /// When tick() or due() has something to do, if nothing else happens; nothing in a final state.
    [[nodiscard]] std::optional<TimePoint> next() const;

private:
    struct Probe {
        ProbeSpec spec;
        TimePoint next;
        bool running = false;
        bool succeeded_once = false;
        std::uint64_t successes = 0; ///< In a row.
        std::uint64_t failures = 0;  ///< In a row, those that count.
        std::string last;            ///< Detail of the last result that was no success.
        [[nodiscard]] bool holds() const { return successes >= spec.successes; }
    };
    [[nodiscard]] bool final() const { return state_ == State::healthy || state_ == State::failed; }
    [[nodiscard]] bool all_hold() const;
    [[nodiscard]] std::string waiting_for() const;
    void fail_with(std::string why);

    std::vector<Probe> probes_;
    TimePoint start_;
    Milliseconds ready_within_;
    Milliseconds bake_;
    std::uint64_t restarts_max_;
    State state_ = State::starting;
    TimePoint ready_at_;
    std::optional<std::uint64_t> restarts_seen_; ///< The last number before the bake began.
    std::string why_;
};

} // namespace slipway::agent
