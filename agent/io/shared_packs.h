#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent/core/daemon_status.h"
#include "agent/io/pack_fetcher.h"

namespace slipway::agent {

/// The packs of a daemon, which all of its services get and share through one session: what is
/// fetched for one is there for all, and is shared on until the daemon ends; what an earlier daemon
/// left in ROOT/packs is verified and shared again. Above its quota the packs that were needed
/// longest ago go; none that a release needs which is current, previous or staged.
///
/// Threads: one of its own, which shares what is there and keeps the quota. All calls may come from
/// any thread. Fetches take turns: one that gets nothing holds up the others for `patience`.
class SharedPacks final : private ProgressWatcher {
public:
    struct Options {
        std::vector<std::string> seeders;
        FetcherOptions fetcher;
        std::uint64_t quota_bytes = 0; ///< 0: none.
        /// Beyond `fetcher.patience`, how long the fetcher may be silent and still be taken for
        /// alive: more than any of its steps takes (a flush has two minutes, a request one).
        std::chrono::milliseconds silence_max{300'000};
    };
    /// `host` must outlive it.
    SharedPacks(const HostLayout& host, Options options);
    ~SharedPacks() override;
    SharedPacks(const SharedPacks&) = delete;
    SharedPacks& operator=(const SharedPacks&) = delete;

    /// For one installation, and to be destroyed after it; what it asked for is not evicted before.
    /// Not thread-safe; must not outlive the SharedPacks.
    class Use final : public PackSource {
    public:
        explicit Use(SharedPacks& packs) : packs_(packs) {}
        ~Use() override;
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;
        [[nodiscard]] Result<std::vector<std::vector<Range>>>
        missing(const std::vector<PackRequest>& requests, std::stop_token stop) override;
        [[nodiscard]] Result<> fetch(const std::vector<PackRequest>& requests,
                                     std::stop_token stop) override;
        [[nodiscard]] const FetchTotals& totals() const { return totals_; }
        /// Called with payload bytes as they arrive for this use; set before fetch().
        std::function<void(std::uint64_t)> on_bytes{};
        std::function<void(std::string_view)> on_note{}; ///< What may be why they come slowly.
        std::function<void()> on_turn{};                 ///< No other use is in the way any more.

    private:
        void note(const std::vector<PackRequest>& requests);
        SharedPacks& packs_;
        std::vector<PackId> used_;
        FetchTotals totals_;
        bool asked_ = false;
    };

    void set_limits(const Rates& rates);
    void set_quota(std::uint64_t bytes);
    /// Whether who fetches, or else this class's own thread, was heard of lately.
    [[nodiscard]] bool is_alive() const;
    /// Never waits for a fetch: numbers of swarms may be some seconds old.
    [[nodiscard]] SharingStatus status() const;

private:
    class Turn;
    void run(const std::stop_token& stop);
    void share_what_is_there(const std::stop_token& stop);
    void evict(const std::stop_token& stop);
    void begin_anew(PackFetcher& fetcher);
    void beat();
    void look_at_swarms();
    void phase(std::string_view /*name*/) override {}
    void added(std::uint64_t bytes) override;
    void noted(std::string_view text) override;

    const HostLayout& host_;
    const Options options_;
    Progress progress_;
    PackFetcher fetcher_; ///< Used by who has the turn.
    Use* current_ = nullptr;
    std::atomic<std::chrono::steady_clock::time_point> heard_of_;

    std::mutex turn_mutex_;
    std::condition_variable_any turn_free_;
    bool turn_taken_ = false;

    mutable std::mutex mutex_; ///< Of what follows.
    SharingStatus status_;
    std::uint64_t quota_bytes_;
    std::map<PackId, unsigned> in_use_;
    std::condition_variable_any poked_;
    bool poke_ = false;
    std::chrono::steady_clock::time_point looked_at_;

    std::jthread thread_; ///< Last: it uses the others.
};

} // namespace slipway::agent
