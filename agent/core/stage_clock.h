#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/timeline.h"

namespace slipway::agent {

/// Where the time of fetching and building one release went.
struct StageTimes {
    PartTimes times = {};
    std::uint64_t fetched_bytes = 0;
    std::uint64_t had_bytes = 0;
    std::vector<std::string> remarks = {};
};

/// Divides the time of fetching and building among its parts. Between fetch_begins() and
/// fetch_ends() time is transfer while bytes come, and waiting while none came for `gap`; the
/// phases that an installation names (Progress::phase) divide the rest. Pure: time comes in.
class StageClock {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::milliseconds gap{1'000};

    explicit StageClock(TimePoint now) : since_(now) {}

    void phase(std::string_view name, TimePoint now);
    /// The fetcher is asked; another service may have it.
    void fetch_begins(TimePoint now);
    /// The fetcher is asked what is missing: it gets metainfo and looks at the disk.
    void asking_begins(TimePoint now);
    void turn_comes(TimePoint now);
    void bytes_came(std::uint64_t bytes, TimePoint now);
    void fetch_ends(TimePoint now); ///< Or the asking.

    [[nodiscard]] PartTimes times(TimePoint now) const;

private:
    enum class Fetch { none, turn, asking, peers, transfer };
    using Spent = std::map<Part, TimePoint::duration>; ///< Exact: bytes come in small steps.
    void account(Spent& spent, TimePoint now) const;
    void go_to(Fetch fetch, TimePoint now);

    Spent spent_;
    Part phase_ = Part::other;
    Fetch fetch_ = Fetch::none;
    Fetch after_turn_ = Fetch::peers;
    TimePoint since_;      ///< Until when all is accounted.
    TimePoint last_bytes_; ///< Of this fetch, while it transfers.
};

} // namespace slipway::agent
