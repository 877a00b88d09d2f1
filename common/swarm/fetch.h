#pragma once

#include "common/swarm/torrents.h"
#include "common/swarm/web_source.h"

namespace slipway::swarm {

/// One call of PackSession::fetch(): puts the packs into the session, watches their ledgers, calls
/// web seeds in when the swarm stalls, and decides when it is over.
class Fetch {
public:
    /// Everything must outlive the fetch.
    Fetch(Torrents& torrents, const std::vector<FetchRequest>& requests,
          std::chrono::milliseconds patience, const std::function<void(std::uint64_t)>& progress,
          std::stop_token stop, RateGate& web_gate);
    [[nodiscard]] Result<FetchReport> run();

private:
    using Clock = std::chrono::steady_clock;
    struct Job {
        const FetchRequest* request;
        Torrent* torrent;
        Ledger::Counts before;
        std::set<std::string> banned_before;
    };

    [[nodiscard]] Result<> prepare(const FetchRequest& request);
    [[nodiscard]] Result<> watch();
    [[nodiscard]] Result<> check_disk() const;
    /// Takes notice of what arrived; true if anything did.
    bool advance();
    void call_web_seeds(Clock::duration stalled);
    void prod_swarm(Clock::duration stalled);
    [[nodiscard]] bool complete() const;
    [[nodiscard]] bool hopeless(const Job& job) const;
    [[nodiscard]] tl::unexpected<Error> give_up() const;
    void settle();
    [[nodiscard]] FetchReport report() const;

    Torrents& torrents_;
    const std::vector<FetchRequest>& requests_;
    const std::chrono::milliseconds patience_;
    const std::function<void(std::uint64_t)>& progress_;
    const std::stop_token stop_;
    RateGate& web_gate_;
    std::vector<Job> jobs_;
    std::uint64_t wanted_bytes_ = 0;
    std::uint64_t received_bytes_ = 0; ///< Told to `progress_`.
    std::size_t passed_pieces_ = 0;
    Clock::time_point last_progress_;
    Clock::time_point last_prod_;
    std::unique_ptr<WebSource> web_; ///< All web seeds that were called in.
    std::size_t web_jobs_ = 0;
};

} // namespace slipway::swarm
