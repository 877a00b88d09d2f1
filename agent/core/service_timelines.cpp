#include "agent/core/service_timelines.h"

#include <algorithm>

#include "common/core/errc.h"

namespace slipway::agent {
namespace {

using std::chrono::milliseconds;

Part part_of(const Work& work) {
    if (work.number == 0) {
        return Part::pause;
    }
    switch (work.step()) {
    case Step::stage:
        return Part::other; // StageTimes say more.
    case Step::pre_switch:
    case Step::pre_stop:
    case Step::on_rollback:
    case Step::post_switch:
        return Part::hook;
    case Step::switch_to:
        return Part::switching;
    case Step::restart:
        return Part::restart;
    case Step::probe:
        return Part::probe;
    case Step::bake:
        break;
    }
    return Part::bake;
}

std::string reason_from(const InstallState& state) {
    return printable(std::string_view(state.last_error).substr(0, timeline_reason_bytes_max / 4));
}

bool is_in_quarantine(const InstallState& state, const std::string& artifact) {
    return std::ranges::any_of(state.quarantine, [&](const Quarantined& bad) {
        return bad.release.artifact.text() == artifact;
    });
}

// What became of an installation that is over.
std::string outcome_of(const Timeline& timeline, const InstallState& state, bool went_back) {
    const auto is_it = [&](const std::optional<Release>& release) {
        return release && release->artifact.text() == timeline.artifact;
    };
    if (timeline.ahead) {
        const bool there =
            is_it(state.running) || std::ranges::any_of(state.staged, [&](const Release& release) {
                return is_it(release);
            });
        return there ? "staged" : "left";
    }
    if (is_it(state.running) && state.good == state.running) {
        return "healthy";
    }
    if (!is_in_quarantine(state, timeline.artifact)) {
        return "left"; // For another order.
    }
    if (!went_back) {
        return state.phase == Phase::failed ? "failed" : "quarantined";
    }
    return state.good ? "rolled-back" : "failed";
}

} // namespace

ServiceTimelines::ServiceTimelines(std::vector<Timeline> kept) : kept_(std::move(kept)) {}

bool ServiceTimelines::is_of(const Timeline& timeline, const Work& work) const {
    if (work.course == Course::back) {
        return !timeline.ahead; // It belongs to what failed.
    }
    return !went_back_ && timeline.ahead == (work.course == Course::ahead) &&
           timeline.artifact == work.wanted.artifact.text();
}

void ServiceTimelines::account(Timeline& timeline, const Moment& now) const {
    const auto add = [&](Part part, milliseconds time) {
        if (time > milliseconds(0)) {
            timeline.times[part] += time;
        }
    };
    if (!since_) { // An earlier process noted it; clocks of two boots have only this in common.
        const std::chrono::seconds down(
            std::max<std::int64_t>(0, now.unix_s - timeline.told_unix_s));
        add(Part::down, down);
    } else if (part_) {
        auto left = std::chrono::round<milliseconds>(now.steady - since_->steady);
        if (staging_ && staged_) {
            for (const auto& [part, time] : staged_->times) {
                const auto of_it = std::min(time, left);
                add(part, of_it);
                left -= of_it;
            }
            timeline.fetched_bytes += staged_->fetched_bytes;
            timeline.had_bytes += staged_->had_bytes;
            for (const auto& remark : staged_->remarks) {
                add_remark(timeline.remarks, remark);
            }
        }
        add(*part_, left);
    }
    timeline.told_unix_s = now.unix_s;
}

void ServiceTimelines::close(const InstallState& state) {
    auto& timeline = kept_.back();
    timeline.outcome = outcome_of(timeline, state, went_back_);
    const bool wanted = timeline.outcome == "healthy" || timeline.outcome == "staged";
    timeline.why = wanted ? "" : reason_from(state);
    went_back_ = false;
}

bool ServiceTimelines::state_changed(const InstallState& state, const Moment& now) {
    const auto& work = state.work;
    const bool was_open = is_open();
    if (was_open) {
        account(kept_.back(), now);
        if (!work || !is_of(kept_.back(), *work)) {
            close(state);
        }
    }
    if (work && !is_open()) {
        const auto artifact =
            work->course == Course::back ? work->release->artifact : work->wanted.artifact;
        kept_.push_back({.artifact = artifact.text(),
                         .ahead = work->course == Course::ahead,
                         .began_unix_s = now.unix_s,
                         .told_unix_s = now.unix_s});
        if (kept_.size() > timelines_kept) {
            kept_.erase(kept_.begin());
        }
    }
    staged_.reset();
    if (work) {
        auto& timeline = kept_.back();
        went_back_ = went_back_ || work->course == Course::back;
        if (work->number == 0 && since_ && part_ != Part::pause) {
            ++timeline.failed_tries;
            timeline.why = reason_from(state);
        }
    }
    part_ = work ? std::optional(part_of(*work)) : std::nullopt;
    staging_ = work && work->number != 0 && work->step() == Step::stage;
    since_ = now;
    return was_open || work.has_value();
}

void ServiceTimelines::staged(StageTimes times) {
    if (staging_) {
        staged_ = std::move(times);
    }
}

std::vector<Timeline> ServiceTimelines::told(const Moment& now) const {
    auto told = kept_;
    if (is_open()) {
        account(told.back(), now);
    }
    return told;
}

} // namespace slipway::agent
