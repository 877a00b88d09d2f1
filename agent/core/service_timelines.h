#pragma once

#include <optional>
#include <vector>

#include "agent/core/install_machine.h"
#include "agent/core/stage_clock.h"
#include "agent/core/timeline.h"

namespace slipway::agent {

/// Sees how the state of one service changes, and notes where the time of its installations went:
/// from the moment that the machine began to stage a release until it holds, was left, or gave way
/// to another order. Pure: time comes in.
class ServiceTimelines {
public:
    struct Moment {
        std::chrono::steady_clock::time_point steady;
        std::int64_t unix_s = 0;
    };
    /// `kept`: what an earlier process noted. The last one may not be over yet.
    explicit ServiceTimelines(std::vector<Timeline> kept = {});

    /// The state at the start of the process, then after every change.
    /// Whether there is something new to keep.
    bool state_changed(const InstallState& state, const Moment& now);
    /// Into what the time of the step `stage` divides that is going on.
    void staged(StageTimes times);

    /// Oldest first; the last one with the time up to `now` if it goes on.
    [[nodiscard]] std::vector<Timeline> told(const Moment& now) const;

private:
    [[nodiscard]] bool is_open() const { return !kept_.empty() && kept_.back().outcome.empty(); }
    [[nodiscard]] bool is_of(const Timeline& timeline, const Work& work) const;
    void account(Timeline& timeline, const Moment& now) const;
    void close(const InstallState& state);

    std::vector<Timeline> kept_;
    std::optional<Part> part_ = std::nullopt; ///< What the time since `since_` is spent on.
    bool staging_ = false;
    bool went_back_ = false;
    std::optional<StageTimes> staged_ = std::nullopt;
    std::optional<Moment> since_ = std::nullopt;
};

} // namespace slipway::agent
