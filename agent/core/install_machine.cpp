#include "agent/core/install_machine.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace slipway::agent {
namespace {

constexpr std::array ahead_steps{Step::stage};
constexpr std::array forward_steps{Step::stage,     Step::pre_switch,  Step::pre_stop,
                                   Step::switch_to, Step::post_switch, Step::restart,
                                   Step::probe,     Step::bake};
constexpr std::array back_steps{Step::pre_stop,    Step::on_rollback, Step::switch_to,
                                Step::post_switch, Step::restart,     Step::probe};

std::span<const Step> steps_of(Course course) {
    switch (course) {
    case Course::ahead:
        return ahead_steps;
    case Course::forward:
        return forward_steps;
    case Course::back:
        break;
    }
    return back_steps;
}

// "web@2" without a digest means whatever manifest web@2 has: a name is never given twice.
bool is_meant(const Release& release, const api::Wanted& wanted) {
    return release.artifact == wanted.artifact &&
           (!wanted.digest || *wanted.digest == release.digest);
}

// "7", or "7, generation 3": a file knows no generations.
std::string version_text(const std::pair<std::uint64_t, std::uint64_t>& version) {
    return std::to_string(version.first) +
           (version.second == 0 ? "" : ", generation " + std::to_string(version.second));
}

Phase phase_of(const Work& work) {
    if (work.course == Course::back) {
        return Phase::rolling_back;
    }
    switch (work.step()) {
    case Step::stage:
        return Phase::staging;
    case Step::probe:
        return Phase::probing;
    case Step::bake:
        return Phase::baking;
    default:
        return Phase::switching;
    }
}

class Machine {
public:
    Machine(const MachineOptions& options, InstallState state, std::int64_t now_unix_s)
        : options_(options), state_(std::move(state)), now_unix_s_(now_unix_s) {}

    void on(const Desire& desire) {
        const bool same = desire.service == state_.desired;
        const std::pair given(desire.epoch, desire.generation);
        const std::pair known(state_.epoch, state_.generation);
        if (given < known || (given == known && desire.epoch != 0 && !same)) {
            report("refused", std::nullopt,
                   "epoch " + version_text(given) + " is not above " + version_text(known) +
                       ", which is known here");
            return;
        }
        state_.epoch = desire.epoch;
        state_.generation = desire.generation;
        state_.desired = desire.service;
        std::erase_if(state_.staged, [&](const Release& release) {
            return std::ranges::none_of(state_.desired.stage, [&](const api::Wanted& wanted) {
                return is_meant(release, wanted);
            });
        });
        consider();
    }

    void on(const Done& done) {
        if (!is_awaited(done.number)) {
            return;
        }
        auto& work = *state_.work;
        if (work.step() == Step::stage) {
            if (!done.release || !is_meant(*done.release, work.wanted)) {
                retry("what was staged is not " + work.wanted.artifact.text());
                return;
            }
            work.release = done.release;
        }
        if (work.step() == Step::switch_to) {
            state_.running = work.release;
        }
        advance();
    }

    void on(const Failed& failed) {
        if (!is_awaited(failed.number)) {
            return;
        }
        const auto why = failed.why.substr(0, reason_bytes_max);
        const auto& work = *state_.work;
        const bool may_try_again = work.tries + 1 < options_.switch_tries_max;
        const bool of_the_bad_release =
            work.course == Course::back &&
            (work.step() == Step::pre_stop || work.step() == Step::on_rollback);
        if (of_the_bad_release) {
            state_.last_error = (state_.last_error + "; " + why).substr(0, 4 * reason_bytes_max);
            advance(); // Its hooks never stand in the way of a rollback.
        } else if (work.step() == Step::stage || (!failed.release_is_bad && may_try_again)) {
            retry(why);
        } else if (work.course == Course::forward) {
            give_up(why);
        } else {
            give_up_going_back(why);
        }
    }

    void on(const Observed& observed) {
        if (observed.current == state_.running) {
            return;
        }
        auto& work = state_.work;
        if (work && work->step() == Step::switch_to && observed.current == work->release) {
            state_.running = observed.current; // The switch was made, and its end not heard of.
            return;
        }
        const auto before = std::exchange(state_.running, observed.current);
        state_.good = observed.current;
        if (work && work->step() != Step::stage) {
            abandon();
        }
        if (before && observed.current) {
            quarantine(*before, before_attempt(*before), "replaced by hand");
            lift(*observed.current);
            state_.last_error = "release " + before->id().text + " was replaced by hand";
            enter(Phase::rolled_back);
        }
        consider();
    }

    void on(const Wake& /*wake*/) {
        if (state_.work && state_.work->number == 0) {
            perform();
        }
    }

    Stepped end() { return {std::move(state_), std::move(actions_)}; }

private:
    [[nodiscard]] bool is_awaited(std::uint64_t number) const {
        return number != 0 && state_.work && state_.work->number == number;
    }

    // Takes up what is wanted most, if nothing that must not be interrupted is going on.
    void consider() {
        if (state_.work && (!may_be_left(*state_.work) || is_still_first(*state_.work))) {
            return;
        }
        if (state_.work) {
            abandon();
        }
        if (wants_switch()) {
            begin({.course = Course::forward, .wanted = *state_.desired.run});
        } else if (const auto* ahead = wanted_ahead()) {
            begin({.course = Course::ahead, .wanted = *ahead});
        } else {
            settle();
        }
    }

    [[nodiscard]] static bool may_be_left(const Work& work) {
        const auto step = work.step();
        return work.course == Course::ahead || (work.course == Course::forward &&
                                                (step == Step::stage || step == Step::pre_switch ||
                                                 step == Step::probe || step == Step::bake));
    }

    [[nodiscard]] bool is_still_first(const Work& work) {
        if (work.course == Course::forward) {
            return state_.desired.run == work.wanted;
        }
        return !wants_switch() && std::ranges::count(state_.desired.stage, work.wanted) != 0;
    }

    // Whether a course forward is due. An order to try again lifts the quarantine here.
    [[nodiscard]] bool wants_switch() {
        const auto& run = state_.desired.run;
        if (!run) {
            return false;
        }
        std::erase_if(state_.quarantine, [&](const Quarantined& bad) {
            return is_meant(bad.release, *run) && run->attempt > bad.attempt;
        });
        return !is_blocked(*run) && !(state_.running && is_meant(*state_.running, *run) &&
                                      state_.good == state_.running);
    }

    [[nodiscard]] bool is_blocked(const api::Wanted& wanted) const {
        return std::ranges::any_of(state_.quarantine, [&](const Quarantined& bad) {
            return is_meant(bad.release, wanted);
        });
    }
    [[nodiscard]] bool is_quarantined(const Release& release) const {
        return std::ranges::any_of(state_.quarantine, [&](const Quarantined& bad) {
            return bad.release.digest == release.digest;
        });
    }

    [[nodiscard]] const api::Wanted* wanted_ahead() const {
        for (const auto& wanted : state_.desired.stage) {
            const auto is_there = [&](const Release& release) { return is_meant(release, wanted); };
            if (!is_blocked(wanted) && std::ranges::none_of(state_.staged, is_there) &&
                !(state_.running && is_there(*state_.running))) {
                return &wanted;
            }
        }
        return nullptr;
    }

    // Nothing is left to do: what that means.
    void settle() {
        const auto& run = state_.desired.run;
        if (!run) {
            enter(state_.staged.empty() ? Phase::idle : Phase::staged);
        } else if (!is_blocked(*run)) {
            state_.last_error.clear();
            enter(Phase::healthy);
        } else if (state_.phase != Phase::rolled_back && state_.phase != Phase::failed) {
            const auto bad = std::ranges::find_if(
                state_.quarantine, [&](const auto& one) { return is_meant(one.release, *run); });
            state_.last_error = bad->why;
            enter(Phase::quarantined);
        }
    }

    void begin(Work work) {
        state_.work = std::move(work);
        perform();
    }

    void perform() {
        auto& work = *state_.work;
        work.number = state_.next_number++;
        // What is staged ahead does not change how the service stands.
        if (work.course != Course::ahead || !state_.desired.run) {
            enter(phase_of(work));
        }
        actions_.emplace_back(resume(state_).front());
    }

    void advance() {
        auto& work = *state_.work;
        if (work.step() == Step::stage && work.release && is_quarantined(*work.release)) {
            state_.work.reset(); // Its digest became known just now.
            consider();
            return;
        }
        if (++work.at < steps_of(work.course).size()) {
            work.tries = 0;
            perform();
            return;
        }
        const auto ended = *std::exchange(state_.work, std::nullopt);
        if (ended.course == Course::ahead) {
            state_.staged.push_back(*ended.release);
        } else {
            state_.good = ended.release;
            if (ended.course == Course::back) {
                enter(Phase::rolled_back);
            }
        }
        consider();
    }

    void retry(const std::string& why) {
        auto& work = *state_.work;
        state_.last_error = why;
        work.number = 0;
        const auto doublings = std::min<std::uint32_t>(work.tries++, 20);
        const auto most =
            std::min(options_.retry_first * (std::int64_t{1} << doublings), options_.retry_most);
        // A quarter less for some than for others: hosts that failed together come back apart.
        const auto mixed = (options_.seed + state_.next_number) * 0x9e3779b97f4a7c15ULL;
        actions_.emplace_back(Wait{most - most * static_cast<std::int64_t>(mixed >> 56) / 1024});
        report("retrying", work.release, why);
    }

    void give_up(const std::string& why) {
        const auto work = *std::exchange(state_.work, std::nullopt);
        const auto& release = *work.release;
        quarantine(release, work.wanted.attempt, why);
        state_.last_error = why;
        if (work.step() == Step::pre_switch) {
            enter(Phase::quarantined); // The release that runs was not touched.
        } else if (state_.good && !is_quarantined(*state_.good)) {
            begin({.course = Course::back, .wanted = {}, .release = state_.good});
            return;
        } else {
            state_.last_error += "; no earlier release held on this host";
            enter(Phase::failed);
        }
        consider();
    }

    void give_up_going_back(const std::string& why) {
        const auto work = *std::exchange(state_.work, std::nullopt);
        quarantine(*work.release, before_attempt(*work.release), why);
        state_.good.reset();
        state_.last_error += "; going back to " + work.release->id().text + ": " + why;
        enter(Phase::failed);
        consider();
    }

    // The attempt that an order must exceed to run `release` after this failure.
    [[nodiscard]] std::uint32_t before_attempt(const Release& release) const {
        const auto& run = state_.desired.run;
        return run && is_meant(release, *run) ? run->attempt : 0;
    }

    void quarantine(const Release& release, std::uint32_t attempt, const std::string& why) {
        lift(release);
        state_.quarantine.push_back({release, attempt, why});
        if (state_.quarantine.size() > quarantine_max) {
            state_.quarantine.erase(state_.quarantine.begin());
        }
    }
    void lift(const Release& release) {
        std::erase_if(state_.quarantine,
                      [&](const Quarantined& bad) { return bad.release == release; });
    }

    void abandon() {
        if (state_.work->number != 0) {
            actions_.emplace_back(Abandon{state_.work->number});
        }
        state_.work.reset();
    }

    void enter(Phase phase) {
        if (state_.phase == phase) {
            return;
        }
        state_.phase = phase;
        state_.since_unix_s = now_unix_s_;
        const bool bad = phase == Phase::failed || phase == Phase::quarantined ||
                         phase == Phase::rolling_back || phase == Phase::rolled_back;
        report(std::string(to_string(phase)), state_.work ? state_.work->release : state_.running,
               bad ? state_.last_error : "");
    }

    void report(std::string kind, std::optional<Release> release, std::string why) {
        actions_.emplace_back(Report{std::move(kind), std::move(release), std::move(why)});
    }

    const MachineOptions& options_;
    InstallState state_;
    std::int64_t now_unix_s_;
    std::vector<Action> actions_;
};

} // namespace

std::string_view to_string(Phase phase) {
    constexpr std::array<std::string_view, 11> names{
        "idle",    "staging",      "staged",      "switching",   "probing", "baking",
        "healthy", "rolling-back", "rolled-back", "quarantined", "failed"};
    return names.at(static_cast<std::size_t>(phase));
}

std::string_view to_string(Step step) {
    constexpr std::array<std::string_view, 9> names{"stage",       "pre-switch", "pre-stop",
                                                    "on-rollback", "switch",     "post-switch",
                                                    "restart",     "probe",      "bake"};
    return names.at(static_cast<std::size_t>(step));
}

std::size_t steps_in(Course course) {
    return steps_of(course).size();
}

Step Work::step() const {
    return steps_of(course)[at];
}

Stepped step(const MachineOptions& options, InstallState state, const Event& event,
             std::int64_t now_unix_s) {
    Machine machine(options, std::move(state), now_unix_s);
    std::visit([&](const auto& one) { machine.on(one); }, event);
    return machine.end();
}

std::vector<Action> resume(const InstallState& state) {
    if (!state.work) {
        return {};
    }
    const auto& work = *state.work;
    if (work.number == 0) {
        return {Wait{}};
    }
    const auto step = work.step();
    return {step == Step::stage ? Perform{work.number, step, work.wanted, std::nullopt}
                                : Perform{work.number, step, std::nullopt, work.release}};
}

} // namespace slipway::agent
