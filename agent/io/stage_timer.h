#pragma once

#include <mutex>
#include <stop_token>

#include "agent/core/stage_clock.h"
#include "agent/io/pack_source.h"
#include "common/io/progress.h"

namespace slipway::agent {

/// A StageClock that hears of an installation by its Progress, and collects what is noted there.
/// Thread-safe.
class StageTimer final : public ProgressWatcher {
public:
    StageTimer();
    void phase(std::string_view name) override;
    void added(std::uint64_t bytes) override;
    void noted(std::string_view text) override;
    void asking_begins();
    void fetch_begins();
    void turn_comes();
    void fetch_ends();
    [[nodiscard]] StageTimes times() const;

private:
    mutable std::mutex mutex_;
    StageClock clock_;
    std::vector<std::string> remarks_;
};

/// Tells a timer when a source is at work.
class TimedSource final : public PackSource {
public:
    /// Both must outlive it. Without `has_turns` nobody else can be in the way.
    TimedSource(PackSource& source, StageTimer& timer, bool has_turns)
        : source_(source), timer_(timer), has_turns_(has_turns) {}
    [[nodiscard]] Result<std::vector<std::vector<Range>>>
    missing(const std::vector<PackRequest>& requests, std::stop_token stop) override;
    [[nodiscard]] Result<> fetch(const std::vector<PackRequest>& requests,
                                 std::stop_token stop) override;

private:
    PackSource& source_;
    StageTimer& timer_;
    bool has_turns_;
};

} // namespace slipway::agent
