#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "common/api/sync.h"

namespace slipway::agent {

/// The two connections to the orchestrator.
enum class Line : std::uint8_t {
    held,   ///< Its request waits there until there is an order.
    urgent, ///< For what cannot wait.
};

/// A request that is to be made.
struct UpstreamCall {
    Line line = Line::held;
    std::size_t url = 0;
    std::chrono::milliseconds hold{}; ///< How long the answer may be held there.
    bool with_events = false;
    std::uint64_t revision = 0; ///< Of what it says: see Upstream::changed().
};

/// What is to be done with an answer.
struct UpstreamVerdict {
    /// Its order is to be carried out, and told of by Upstream::obeyed(). Its epoch must be durable
    /// before that.
    bool obey = false;
    std::string refused; ///< Why the answer counts for nothing; empty: it counts.
};

/// Decides which orchestrator a host asks, when, and which of its orders are obeyed. Pure: no
/// clock, no I/O, no threads; times never go back.
///
///     next() -> call, to be made on its line -> answered() or failed()
///
/// - One call at a time on each line. While the host is connected one waits there at all times.
/// - Whoever does not answer, or refuses, is left for the next URL at once; when all were asked in
///   vain, after a pause that doubles up to `retry_most`, of which up to half is taken away by
///   chance: a fleet comes back spread out.
/// - An order of a lower epoch than was ever obeyed is refused, and so is who gave it. A lower
///   generation of the same epoch was overtaken on the way, and is ignored. One that comes again
///   changes nothing once it was obeyed.
class Upstream {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Milliseconds = std::chrono::milliseconds;
    struct Options {
        std::size_t urls = 1; ///< Above 0.
        /// Orchestrators that begin wait 10 s for their hosts before they miss them.
        Milliseconds retry_first{250};
        Milliseconds retry_most{8'000};
        std::uint64_t seed = 0;
    };
    /// `epoch` is the highest that the host obeyed in its life.
    Upstream(Options options, std::uint64_t epoch) : options_(options), epoch_(epoch) {}

    /// The call to make on `line` now, if one is due.
    [[nodiscard]] std::optional<UpstreamCall> next(Line line, TimePoint now);
    /// When to ask next() again, unless something happens before; TimePoint::max(): not before.
    [[nodiscard]] TimePoint due(Line line) const;

    /// There is something to tell that must not wait for the next report.
    void changed() { ++revision_; }
    /// The daemon has taken an order, and will have done so after a crash.
    void obeyed(std::uint64_t epoch, std::uint64_t generation);
    [[nodiscard]] UpstreamVerdict answered(const UpstreamCall& call, const api::SyncAnswer& answer,
                                           TimePoint now);
    void failed(const UpstreamCall& call, TimePoint now);

    /// For reports. The generation is 0 until an order was obeyed since the host started: it is
    /// then told what it should come to, once more.
    [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
    [[nodiscard]] std::uint64_t generation() const { return generation_; }
    [[nodiscard]] std::uint64_t revision() const { return revision_; }
    [[nodiscard]] bool is_connected() const { return connected_; }
    /// Who is asked, or was last.
    [[nodiscard]] std::size_t url() const { return url_; }

private:
    struct Wire { ///< What is known of one line.
        bool in_flight = false;
        TimePoint due = TimePoint::min();
        unsigned failures = 0; ///< In a row.
        std::uint64_t sent = 0;
    };
    [[nodiscard]] Wire& wire(Line line) { return line == Line::held ? held_ : urgent_; }
    [[nodiscard]] bool has_untold() const;
    [[nodiscard]] Milliseconds pause(unsigned failures);
    void leave(TimePoint now);
    [[nodiscard]] bool take_order(const api::SyncAnswer& answer);

    const Options options_;
    std::uint64_t epoch_;
    std::uint64_t generation_ = 0;
    std::pair<std::uint64_t, std::uint64_t> taken_; ///< The newest order: epoch, generation.
    std::uint64_t revision_ = 1;
    std::uint64_t told_ = 0; ///< The revision that some orchestrator is known to have.
    std::size_t url_ = 0;
    std::uint64_t pauses_ = 0;
    bool connected_ = false;
    Milliseconds hold_{};
    Wire held_;
    Wire urgent_;
};

} // namespace slipway::agent
