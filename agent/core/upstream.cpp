#include "agent/core/upstream.h"

#include <algorithm>

namespace slipway::agent {
namespace {

using Milliseconds = Upstream::Milliseconds;

// An orchestrator that answers at once, whatever it was asked for, is not asked in a circle.
constexpr Milliseconds held_interval{100};
// Changes that come together are told together.
constexpr Milliseconds urgent_interval{20};
// What was ordered is told once it is obeyed; a daemon whose disk is slow says so before.
constexpr Milliseconds obey_patience{500};
// An orchestrator that wants no requests held is asked so often.
constexpr Milliseconds status_min{500};
constexpr Milliseconds status_default{10'000};

Milliseconds status_of(const api::SyncAnswer& answer) {
    const Milliseconds asked{answer.status_ms};
    return answer.status_ms == 0 ? status_default : std::max(asked, status_min);
}

} // namespace

bool Upstream::has_untold() const {
    return revision_ > std::max({told_, held_.in_flight ? held_.sent : 0,
                                 urgent_.in_flight ? urgent_.sent : 0});
}

Upstream::TimePoint Upstream::due(Line line) const {
    if (line == Line::held) {
        return held_.in_flight ? TimePoint::max() : held_.due;
    }
    return connected_ && !urgent_.in_flight && has_untold() ? urgent_.due : TimePoint::max();
}

std::optional<UpstreamCall> Upstream::next(Line line, TimePoint now) {
    if (due(line) > now) {
        return std::nullopt;
    }
    auto& wire = this->wire(line);
    wire.in_flight = true;
    wire.sent = revision_;
    wire.due = now + (line == Line::held ? held_interval : urgent_interval);
    // The first request to an orchestrator asks for an answer: whether it is one that drives.
    const bool is_held = line == Line::held && connected_;
    return UpstreamCall{.line = line,
                        .url = url_,
                        .hold = is_held ? hold_ : Milliseconds(0),
                        .with_events = !is_held,
                        .revision = revision_};
}

void Upstream::obeyed(std::uint64_t epoch, std::uint64_t generation) {
    if (epoch != epoch_ || generation == generation_) {
        return; // A file's, or told before.
    }
    generation_ = generation;
    if (connected_) {
        held_.due = TimePoint::min();
    }
    changed();
}

bool Upstream::take_order(const api::SyncAnswer& answer) {
    const std::pair order(answer.epoch, answer.generation);
    if (order < taken_ || order == std::pair(epoch_, generation_)) {
        return false;
    }
    taken_ = order;
    if (answer.epoch > epoch_) {
        epoch_ = answer.epoch;
        generation_ = 0;
    }
    return true;
}

UpstreamVerdict Upstream::answered(const UpstreamCall& call, const api::SyncAnswer& answer,
                                   TimePoint now) {
    const bool is_of_present = call.url == url_; // The other line may have left it.
    if (answer.epoch < epoch_) {
        failed(call, now);
        if (call.line == Line::urgent && is_of_present) {
            leave(now);
        }
        return {.obey = false,
                .refused = "its epoch " + std::to_string(answer.epoch) + " is older than " +
                           std::to_string(epoch_) + ", which was obeyed here"};
    }
    auto& wire = this->wire(call.line);
    wire.in_flight = false;
    wire.failures = 0;
    const bool is_order = answer.desired && take_order(answer);
    if (is_of_present) {
        told_ = std::max(told_, call.revision);
    }
    if (call.line == Line::held && is_of_present) {
        connected_ = true;
        const auto status = status_of(answer);
        hold_ = std::min(Milliseconds(answer.wait_ms), status);
        if (is_order) {
            held_.due = now + obey_patience;
        } else if (hold_.count() == 0) {
            held_.due = now + status;
        }
    }
    return {.obey = is_order, .refused = {}};
}

void Upstream::failed(const UpstreamCall& call, TimePoint now) {
    auto& wire = this->wire(call.line);
    wire.in_flight = false;
    ++wire.failures;
    if (call.line == Line::held) {
        if (call.url == url_) {
            leave(now);
        }
    } else {
        urgent_.due = now + pause(wire.failures);
    }
}

// To the next URL, which knows nothing of this host.
void Upstream::leave(TimePoint now) {
    connected_ = false;
    told_ = 0;
    url_ = (url_ + 1) % options_.urls;
    const auto rounds = held_.failures / options_.urls;
    const bool is_round_over = held_.failures % options_.urls == 0;
    held_.due = is_round_over ? now + pause(static_cast<unsigned>(rounds)) : now;
}

Milliseconds Upstream::pause(unsigned failures) {
    const auto doublings = std::min(failures == 0 ? 0U : failures - 1, 20U);
    const auto most =
        std::min(options_.retry_first * (std::int64_t{1} << doublings), options_.retry_most);
    // splitmix64.
    auto mixed = (options_.seed + ++pauses_) * 0x9e3779b97f4a7c15ULL;
    mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebULL;
    return most - most * static_cast<std::int64_t>(mixed >> 56U) / 512;
}

} // namespace slipway::agent
