#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.h"

namespace slipway::seeder {

/// A swarm's address on the wire: the first 20 bytes of the SHA-256 of the info dictionary (BEP
/// 52).
using SwarmHash = std::array<std::uint8_t, 20>;
using PeerId = std::array<std::uint8_t, 20>;

/// Where a peer accepts connections. 4 bytes for IPv4, 16 for IPv6, network order.
struct PeerEndpoint {
    std::vector<std::uint8_t> address;
    std::uint16_t port = 0;
    auto operator<=>(const PeerEndpoint&) const = default;
};

enum class AnnounceEvent {
    none,
    started,
    completed,
    stopped,
    paused, ///< BEP 21: a partial seed, which has what it wants.
};

/// A peer's announce (BEP 3, 7, 23), parsed.
struct Announce {
    SwarmHash swarm{};
    PeerId id{};
    PeerEndpoint peer;
    std::uint64_t left = 0; ///< Bytes that it lacks.
    AnnounceEvent event = AnnounceEvent::none;
    std::size_t peers_wanted = 50;
};

/// Parses the query of an announce. The peer's address is where the request came from: what a query
/// says about addresses is not believed. Errors: Errc::usage, naming the parameter.
[[nodiscard]] Result<Announce> parse_announce(std::string_view query,
                                              const std::vector<std::uint8_t>& from_address);
/// `info_hash` parameters of a scrape (BEP 48), at most 64.
[[nodiscard]] Result<std::vector<SwarmHash>> parse_scrape(std::string_view query);

struct TrackerOptions {
    std::size_t peers_per_swarm_max = 20'000; ///< Beyond it newcomers get peers but are not listed.
    std::size_t peers_per_reply_max = 50;
    std::chrono::seconds interval{5};       ///< How often peers that still lack something call.
    std::chrono::seconds idle_interval{60}; ///< How often the others call.
    std::chrono::seconds min_interval{1};
    unsigned missed_calls_max = 3; ///< A peer that missed so many is forgotten.
};

/// The tracker's state and decisions. Pure: time and randomness come in, so that equal calls give
/// equal replies. Not thread-safe.
class Tracker {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    /// `seed` drives the choice of peers.
    Tracker(TrackerOptions options, std::uint64_t seed);

    /// Only swarms that were added are tracked.
    void add_swarm(const SwarmHash& swarm);
    void remove_swarm(const SwarmHash& swarm);

    /// A bencoded reply: peers other than the caller, `self` (this seeder, as the caller reaches
    /// it) first; those with the whole pack or that can use the caller before others. An unknown
    /// swarm gets a `failure reason`.
    [[nodiscard]] std::string announce(const Announce& announce,
                                       const std::optional<PeerEndpoint>& self, TimePoint now);
    [[nodiscard]] std::string scrape(const std::vector<SwarmHash>& swarms, TimePoint now);

    [[nodiscard]] std::size_t peer_total() const;

private:
    struct Peer {
        PeerEndpoint endpoint;
        bool complete = false;
        TimePoint forget_at;
    };
    struct Swarm {
        std::map<PeerId, Peer> peers;
        std::uint64_t completed = 0;
        TimePoint sweep_at{};
    };
    void sweep(Swarm& swarm, TimePoint now) const;
    void record(Swarm& swarm, const Announce& announce, TimePoint now) const;
    [[nodiscard]] std::vector<PeerEndpoint> choose(const Swarm& swarm, const Announce& announce);
    std::uint64_t random_below(std::uint64_t bound);

    TrackerOptions options_;
    std::uint64_t random_;
    std::map<SwarmHash, Swarm> swarms_;
};

} // namespace slipway::seeder
