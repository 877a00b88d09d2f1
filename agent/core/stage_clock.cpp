#include "agent/core/stage_clock.h"

namespace slipway::agent {
namespace {

// Names that Installer and HostInstall give their phases.
Part part_of_phase(std::string_view name) {
    if (name == "metadata" || name == "index") {
        return Part::metadata;
    }
    if (name == "plan") {
        return Part::plan;
    }
    if (name == "reserve") {
        return Part::space;
    }
    if (name == "build") {
        return Part::build;
    }
    if (name == "sync" || name == "verify") {
        return Part::verify;
    }
    if (name == "switch") {
        return Part::switching;
    }
    return Part::other; // "fetch": what is not the fetch itself.
}

} // namespace

void StageClock::account(Spent& spent, TimePoint now) const {
    switch (fetch_) {
    case Fetch::none:
        spent[phase_] += now - since_;
        return;
    case Fetch::turn:
        spent[Part::turn] += now - since_;
        return;
    case Fetch::asking:
        spent[Part::metadata] += now - since_;
        return;
    case Fetch::peers:
        spent[Part::peers] += now - since_;
        return;
    case Fetch::transfer:
        break;
    }
    const auto flows_until = now - last_bytes_ > gap ? last_bytes_ : now;
    spent[Part::transfer] += flows_until - since_;
    spent[Part::peers] += now - flows_until;
}

void StageClock::go_to(Fetch fetch, TimePoint now) {
    account(spent_, now);
    fetch_ = fetch;
    since_ = now;
}

void StageClock::phase(std::string_view name, TimePoint now) {
    go_to(Fetch::none, now);
    phase_ = part_of_phase(name);
}

void StageClock::fetch_begins(TimePoint now) {
    go_to(Fetch::turn, now);
    after_turn_ = Fetch::peers;
}

void StageClock::asking_begins(TimePoint now) {
    go_to(Fetch::turn, now);
    after_turn_ = Fetch::asking;
}

void StageClock::turn_comes(TimePoint now) {
    go_to(after_turn_, now);
}

void StageClock::bytes_came(std::uint64_t bytes, TimePoint now) {
    if (bytes == 0 || (fetch_ != Fetch::peers && fetch_ != Fetch::transfer)) {
        return; // Building reports bytes, too.
    }
    go_to(Fetch::transfer, now);
    last_bytes_ = now;
}

void StageClock::fetch_ends(TimePoint now) {
    go_to(Fetch::none, now);
}

PartTimes StageClock::times(TimePoint now) const {
    auto spent = spent_;
    account(spent, now);
    PartTimes times;
    for (const auto& [part, time] : spent) {
        const auto ms = std::chrono::round<std::chrono::milliseconds>(time);
        if (ms > std::chrono::milliseconds(0)) {
            times[part] = ms;
        }
    }
    return times;
}

} // namespace slipway::agent
