#include "agent/core/upstream_report.h"

#include <algorithm>

namespace slipway::agent {
namespace {

// The words of people have hyphens, those of the wire have none.
std::string wire_word(Phase phase) {
    std::string word(to_string(phase));
    std::ranges::replace(word, '-', '_');
    return word;
}

bool is_ready(const InstallState& state) {
    const auto& work = state.work;
    if (work && work->course == Course::forward && work->step() == Step::bake) {
        return state.running && state.running == work->release; // Its probe held.
    }
    if (!state.running || state.good != state.running) {
        return false;
    }
    // From `pre-stop` on the service is taken out of use.
    return !work || work->course == Course::ahead ||
           (work->course == Course::forward &&
            (work->step() == Step::stage || work->step() == Step::pre_switch));
}

api::ServiceReport::Running running_of(const Release& release, std::uint64_t since_ms) {
    return {release.artifact.text(), release.digest, since_ms};
}

} // namespace

api::ServiceReport service_report(const InstallState& state, const ServiceHealth& health,
                                  std::uint64_t running_since_ms) {
    api::ServiceReport report;
    report.state = wire_word(state.phase);
    report.ready = is_ready(state) && !health.is_down;
    report.crashes = health.crashes;
    report.restarts = health.restarts;
    report.error = api::sync_text(state.last_error);
    if (state.running) {
        report.running = running_of(*state.running, running_since_ms);
    }
    if (state.good && state.good != state.running) {
        report.previous = running_of(*state.good, 0);
    }
    if (const auto& run = state.desired.run) {
        report.target = {run->artifact.text(), run->digest, run->attempt};
    }
    for (const auto& release : state.staged) {
        report.staged.push_back(release.digest);
    }
    // Of the release that is wanted the orchestrator must hear; the last ones are kept longest.
    const auto is_wanted = [&](const Quarantined& bad) {
        return state.desired.run && state.desired.run->artifact == bad.release.artifact;
    };
    for (const bool wanted : {false, true}) {
        for (const auto& bad : state.quarantine) {
            if (is_wanted(bad) == wanted) {
                report.bad.push_back({bad.release.digest, bad.attempt, api::sync_text(bad.why)});
            }
        }
    }
    return report;
}

std::string event_text(const Report& report) {
    auto text = report.release
                    ? report.release->artifact.text() + " (" + report.release->id().text + ")"
                    : std::string();
    if (!report.why.empty()) {
        text += (text.empty() ? "" : ": ") + report.why;
    }
    return api::sync_text(text);
}

} // namespace slipway::agent
