#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/api/swarm.h"
#include "seeder/core/swarm_graph.h"
#include "seeder/core/zone_map.h"

namespace slipway::seeder {

struct AssignerOptions {
    GraphOptions graph;
    std::size_t sessions_max = 200'000; ///< Beyond it newcomers are told to come again later.
    /// A host that does not call for so long after its call was answered is taken for dead.
    std::chrono::milliseconds silence_max{6'000};
    std::chrono::milliseconds call_fetching{5'000}; ///< How long calls are held at most,
    std::chrono::milliseconds call_idle{25'000};    ///< of hosts that lack nothing.
};

/// Tells agents which peers are theirs: one SwarmGraph for each swarm, and who is at its nodes.
///
/// Pure: time comes in, randomness from the seed. Not thread-safe.
class Assigner {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    Assigner(AssignerOptions options, ZoneMap zones, std::uint64_t seed);

    /// Only swarms that were added are assigned. `hash`: 40 digits.
    void add_swarm(const std::string& hash);
    void remove_swarm(const std::string& hash);

    /// Takes what a host at `ip` says, and gives its orders. `call` of the answer is how long its
    /// next call may be held.
    [[nodiscard]] api::SwarmAnswer call(const api::SwarmCall& call, const std::string& ip,
                                        TimePoint now);
    /// The orders of a host as they are, while its call is held.
    [[nodiscard]] api::SwarmAnswer orders(const api::SwarmCall& call, const std::string& ip) const;
    /// Keys of hosts whose orders changed since the last call; may hold one twice.
    [[nodiscard]] std::vector<std::string> take_woken();
    /// Drops hosts that fell silent.
    void expire(TimePoint now);

    [[nodiscard]] static std::string key_of(const api::SwarmCall& call, const std::string& ip) {
        return ip + "/" + call.session;
    }
    [[nodiscard]] std::size_t sessions() const { return by_key_.size(); }
    [[nodiscard]] std::size_t memberships() const { return memberships_; }

private:
    using SessionNumber = std::uint32_t;
    struct Swarm {
        SwarmGraph graph;
        std::vector<SessionNumber> owner; ///< By node.
    };
    struct Session {
        std::string key; ///< Empty: the number is free.
        api::PeerText peer;
        Place place;
        std::uint64_t generation = 1;
        TimePoint forget_at;
        std::map<std::uint32_t, SwarmGraph::Node> nodes; ///< By number of the swarm.
    };
    [[nodiscard]] Session* find_or_enter(const api::SwarmCall& call, const std::string& ip);
    void take(SessionNumber number, const api::SwarmReport& report);
    void leave(SessionNumber number, std::uint32_t swarm);
    void drop(SessionNumber number);
    void pass_on(Swarm& swarm);
    [[nodiscard]] SessionNumber number_of(const Session& session) const {
        return static_cast<SessionNumber>(&session - sessions_.data());
    }

    AssignerOptions options_;
    ZoneMap zones_;
    std::uint64_t seed_;
    std::unordered_map<std::string, std::uint32_t> swarm_numbers_;
    std::unordered_map<std::uint32_t, Swarm> swarms_;
    std::uint32_t next_swarm_ = 0;
    std::vector<Session> sessions_;
    std::vector<SessionNumber> free_;
    std::unordered_map<std::string, SessionNumber> by_key_;
    std::unordered_map<std::string, SessionNumber> by_peer_;
    std::vector<std::string> woken_;
    std::size_t memberships_ = 0;
    TimePoint expired_at_{};
};

} // namespace slipway::seeder
