#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/swarm/pack_session.h"
#include "common/swarm/pieces.h"

namespace slipway::swarm {

/// Wakes the thread that waits in fetch(). Raised before the wait, it is not lost. Thread-safe.
class Signal {
public:
    void raise();
    /// Returns after raise(), or after `longest`.
    void wait(std::chrono::milliseconds longest);

private:
    std::mutex mutex_;
    std::condition_variable condition_;
    bool raised_ = false;
};

/// What is known of one pack's pieces and sources: which pieces are there and wanted, how many
/// bytes arrived, what happened with each source. libtorrent's thread, the web seed's threads and
/// the caller of fetch() meet here and nowhere else. Thread-safe.
class Ledger {
public:
    struct Counts {
        std::uint64_t received_bytes = 0; ///< Payload, redundant and failed included.
        std::uint64_t failed_bytes = 0;
        std::size_t passed_pieces = 0;
        std::size_t failed_pieces = 0; ///< Since a piece passed.
    };
    /// Neighbouring pieces, for one request to a web seed.
    struct Run {
        std::size_t first = 0;
        std::size_t count = 0;
    };

    Ledger(const PackId& pack, std::vector<bool> have, std::shared_ptr<Signal> signal);

    [[nodiscard]] const PieceGrid& grid() const { return grid_; }
    [[nodiscard]] std::vector<bool> have() const;
    /// Adds the pieces that these ranges touch to the wanted ones; the bytes of those that lack.
    std::uint64_t want(const std::vector<ByteRange>& ranges);
    /// Wants nothing more than is there.
    void want_nothing();
    /// Pieces that are there or wanted.
    [[nodiscard]] std::vector<bool> selection() const;
    /// Pieces that are wanted and not there.
    [[nodiscard]] std::vector<bool> lacking() const;
    [[nodiscard]] std::uint64_t lacking_bytes() const;
    /// When a block came last; before the first one, when something was wanted first.
    [[nodiscard]] std::chrono::steady_clock::time_point last_arrival() const;
    /// Changes with every want() and want_nothing().
    [[nodiscard]] std::uint64_t wants_generation() const { return wants_generation_; }
    [[nodiscard]] bool complete() const; ///< Every wanted piece is there.
    [[nodiscard]] bool started() const;  ///< libtorrent takes pieces.
    [[nodiscard]] Counts counts() const;

    void torrent_started();
    void block_received(std::size_t piece, std::uint64_t bytes);
    void piece_passed(std::size_t piece);
    void piece_failed(std::size_t piece);

    /// Nothing comes from a peer that was asked for blocks. Those that were noted since the last
    /// call are taken, banned ones among them.
    void note_stalled(const std::string& peer);
    [[nodiscard]] std::vector<std::string> take_stalled();
    [[nodiscard]] bool has_stalled() const;

    /// Reserves wanted pieces for a web seed, `bytes_max` at most; untouched ones first. None while
    /// too much is reserved and not yet on the disk.
    [[nodiscard]] std::optional<Run> take_run(std::uint64_t bytes_max);
    void give_back(const Run& run);

    /// Notes what happened last with a source: "peer 10.0.0.1:6881" -> "Connection refused".
    void note(const std::string& source, std::string event);
    [[nodiscard]] std::map<std::string, std::string> notes() const;
    void ban(const std::string& source);
    /// Bans a peer; after a few of one address, which then makes ports up, all of the address.
    void ban_peer(const std::string& peer, const std::string& address);
    [[nodiscard]] bool is_banned(const std::string& peer, const std::string& address) const;
    [[nodiscard]] std::set<std::string> banned() const;

private:
    [[nodiscard]] bool lacking(std::size_t piece) const { return wanted_[piece] && !have_[piece]; }
    void set_taken(std::size_t piece, bool taken);

    const PieceGrid grid_;
    const std::shared_ptr<Signal> signal_;
    mutable std::mutex mutex_;
    std::vector<bool> have_;
    std::vector<bool> wanted_;
    std::vector<bool> touched_; ///< A peer sent a block of it.
    std::vector<bool> taken_;   ///< A web seed is asked for it.
    std::atomic<std::uint64_t> wants_generation_ = 1;
    std::size_t lacking_ = 0;
    std::uint64_t taken_bytes_ = 0;
    bool started_ = false;
    Counts counts_;
    std::chrono::steady_clock::time_point last_arrival_;
    std::set<std::string> stalled_;
    std::map<std::string, std::string> notes_;
    std::set<std::string> banned_;
    std::map<std::string, int> bans_of_address_;
};

} // namespace slipway::swarm
