#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/result.h"

namespace slipway::api {

/// Where a peer listens: "192.0.2.7:6881", "[2001:db8::7]:6881".
using PeerText = std::string;

/// What a host says of one swarm.
struct SwarmReport {
    std::string swarm;         ///< 40 digits: the info-hash as it goes over the wire (BEP 52).
    std::uint64_t lacks = 0;   ///< Bytes that it wants and does not have; 0: it only gives.
    bool starving = false;     ///< Nothing arrived for a second or more, from nobody.
    std::vector<PeerText> bad; ///< Assigned peers from whom nothing comes, or bad bytes.
    bool operator==(const SwarmReport&) const = default;
};

/// An agent's call to the tracker of a seeder, `POST /v1/swarms`:
///
///     {"version": 1, "session": "16 digits, new for each start", "port": 6881, "seen": 3,
///      "wait_ms": 25000, "zone": "eu-1a", "region": "eu", "swarms": [{"swarm": "…", "lacks":
///      1048576, "starving": true, "bad": ["192.0.2.7:6881"]}]}
///
/// Swarms that are not named are left. The answer to a call with `wait_ms` comes when something is
/// different from generation `seen`, at the latest after that time.
struct SwarmCall {
    std::string session;
    std::uint16_t port = 0; ///< Where it listens for peers, at the address that it calls from.
    std::uint64_t seen = 0;
    std::chrono::milliseconds wait{0};
    std::string zone;   ///< Label; empty: the seeder's map of addresses says it, or nothing does.
    std::string region; ///< The same.
    std::vector<SwarmReport> swarms;
    bool operator==(const SwarmCall&) const = default;
};

/// What a host should do in one swarm.
struct SwarmOrders {
    std::string swarm;
    bool known = true;            ///< False: this seeder does not share the pack.
    bool source = false;          ///< It is of the first tier: fetches from the seeder itself.
    std::vector<PeerText> dial;   ///< Connect to these.
    std::vector<PeerText> expect; ///< These connect to the host. Nobody else is assigned to it.
    bool operator==(const SwarmOrders&) const = default;
};

struct SwarmAnswer {
    std::uint64_t generation = 0;
    std::chrono::milliseconds call{0}; ///< Call again after so long, whatever happens.
    std::vector<SwarmOrders> swarms;
    bool operator==(const SwarmAnswer&) const = default;
};

inline constexpr std::size_t swarm_body_bytes_max = std::size_t{256} * 1024;
inline constexpr std::size_t swarms_of_call_max = 1024;
inline constexpr std::size_t bad_peers_max = 16;
inline constexpr std::size_t assigned_peers_max = 64;
inline constexpr std::chrono::milliseconds swarm_wait_max{30'000};

[[nodiscard]] std::string encode_swarm_call(const SwarmCall& call);
[[nodiscard]] std::string encode_swarm_answer(const SwarmAnswer& answer);
/// Errors: Errc::verification_failed, naming `what` and the field. Fields that this version does
/// not know are let be.
[[nodiscard]] Result<SwarmCall> decode_swarm_call(ByteSpan json, std::string_view what);
[[nodiscard]] Result<SwarmAnswer> decode_swarm_answer(ByteSpan json, std::string_view what);

/// "192.0.2.7", 6881 of a PeerText. Error: Errc::verification_failed.
struct PeerPlace {
    std::string ip;
    std::uint16_t port = 0;
};
[[nodiscard]] Result<PeerPlace> parse_peer(std::string_view text);
[[nodiscard]] PeerText peer_text(std::string_view ip, std::uint16_t port);

} // namespace slipway::api
