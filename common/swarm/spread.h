#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <vector>

namespace slipway::swarm {

/// Which pieces a source shows to which of the peers that let it choose, so that its uplink carries
/// each piece about once and is never idle.
///
/// A source that shows everything to everyone sends popular pieces again and again. Here each peer
/// sees a *window* of pieces that nobody else was shown, about a second of its own rate; what it
/// has got it passes on to the others. A slow peer holds its window only; when it stands still for
/// `lease`, its pieces are shown to others. When every piece was shown, those are shown again that
/// a peer still lacks `again_after` later.
///
/// Liveness: every wanted piece that a peer lacks is shown to it in the end, whatever others do.
///
/// Pure: time comes in. Not thread-safe. Cost of a call: the pieces that are looked at, in the
/// normal case as many as are shown.
class Spread {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Peer = std::uint64_t;

    static constexpr std::chrono::milliseconds lease{3'000};
    static constexpr std::chrono::milliseconds again_after{3'000};
    static constexpr std::size_t window_min = 4;
    static constexpr std::size_t window_max = 1'024;
    /// Of a peer that is choked: enough to make it interested.
    static constexpr std::size_t window_choked = 1;

    /// `seed` drives the order in which pieces are shown first.
    Spread(std::size_t pieces, std::uint64_t seed);

    /// Enters a peer, or replaces what it wants: pieces that it lacks and asked for.
    void wants(Peer peer, const std::vector<bool>& pieces, TimePoint now);
    /// The peer has the piece. An unknown peer: no effect, here and below.
    void has(Peer peer, std::size_t piece, TimePoint now);
    void leave(Peer peer);

    /// Pieces to show to the peer, in the order to show them. None while its window is full.
    [[nodiscard]] std::vector<std::size_t> show(Peer peer, bool choked, TimePoint now);
    /// Pieces that were shown to the peer and are others' by now: it should not ask for them.
    [[nodiscard]] std::vector<std::size_t> take_withdrawn(Peer peer);

    [[nodiscard]] std::size_t peers() const { return peers_.size(); }

private:
    struct Piece {
        std::uint32_t shown = 0;   ///< To so many peers, those that left included.
        std::uint32_t holders = 0; ///< Peers that were shown it, are here, and have it.
        bool queued = true;        ///< In `fresh_`.
        TimePoint shown_at{};
    };
    struct Known {
        std::vector<bool> wants;
        std::set<std::size_t> window; ///< Shown and not there yet.
        std::vector<std::size_t> held;
        std::deque<TimePoint> arrivals; ///< Of the last second.
        std::vector<std::size_t> withdrawn;
        TimePoint progress;
        bool expired = false; ///< Its window was given to others, since when nothing came.
    };
    void give_back(std::size_t piece);
    void expire(Known& known, TimePoint now);
    [[nodiscard]] static std::size_t window_of(const Known& known, bool choked);
    void show_fresh(Known& known, std::size_t room, std::vector<std::size_t>& chosen);
    void show_again(const Known& known, std::size_t room, TimePoint now,
                    std::vector<std::size_t>& chosen) const;

    std::vector<Piece> pieces_;
    std::deque<std::size_t> fresh_; ///< Not shown to anyone, or given back.
    std::map<Peer, Known> peers_;
};

} // namespace slipway::swarm
