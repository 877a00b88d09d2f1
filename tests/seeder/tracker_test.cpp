#include "seeder/core/tracker.h"

#include <catch2/catch.hpp>

#include <set>

namespace slipway::seeder {
namespace {

using std::chrono::seconds;
const Tracker::TimePoint start{};

Announce peer(std::uint8_t number, std::uint64_t left, AnnounceEvent event = AnnounceEvent::none) {
    Announce announce;
    announce.id.fill(number);
    announce.peer = {{10, 0, 0, number}, 6881};
    announce.left = left;
    announce.event = event;
    return announce;
}

// The 6-byte peers of a reply, as the last byte of their addresses.
std::multiset<int> peers_in(const std::string& reply) {
    const auto key = reply.find("5:peers");
    const auto colon = reply.find(':', key + 7);
    const auto bytes = std::stoul(reply.substr(key + 7, colon - key - 7));
    std::multiset<int> out;
    for (std::size_t i = 0; i < bytes; i += 6) {
        out.insert(static_cast<unsigned char>(reply[colon + 1 + i + 3]));
    }
    return out;
}

Tracker one_swarm(TrackerOptions options = {}) {
    Tracker tracker(options, 1);
    tracker.add_swarm({});
    return tracker;
}

} // namespace

TEST_CASE("Tracker: peers hear of each other and of the seeder, never of themselves", "[tracker]") {
    auto tracker = one_swarm();
    const PeerEndpoint self{{10, 0, 0, 200}, 6881};
    CHECK(peers_in(tracker.announce(peer(1, 10), self, start)) == std::multiset<int>{200});
    CHECK(peers_in(tracker.announce(peer(2, 10), self, start)) == std::multiset<int>{1, 200});
    CHECK(peers_in(tracker.announce(peer(1, 5), self, start)) == std::multiset<int>{2, 200});
}

TEST_CASE("Tracker: a whole peer gets those that lack something, and no seeder", "[tracker]") {
    auto tracker = one_swarm();
    const PeerEndpoint self{{10, 0, 0, 200}, 6881};
    (void)tracker.announce(peer(1, 0, AnnounceEvent::completed), self, start);
    (void)tracker.announce(peer(2, 7), self, start);
    CHECK(peers_in(tracker.announce(peer(3, 0), self, start)) == std::multiset<int>{2});
}

TEST_CASE("Tracker: a peer that stops or falls silent is forgotten", "[tracker]") {
    auto tracker = one_swarm();
    (void)tracker.announce(peer(1, 10), {}, start);
    (void)tracker.announce(peer(2, 10), {}, start);
    (void)tracker.announce(peer(2, 10, AnnounceEvent::stopped), {}, start);
    CHECK(peers_in(tracker.announce(peer(3, 10), {}, start)) == std::multiset<int>{1});
    const auto later = start + TrackerOptions{}.interval * 4 + seconds(1);
    CHECK(peers_in(tracker.announce(peer(4, 10), {}, later)).empty());
    CHECK(tracker.peer_total() == 1);
}

TEST_CASE("Tracker: finished peers may stay silent for longer", "[tracker]") {
    auto tracker = one_swarm();
    (void)tracker.announce(peer(1, 0), {}, start);
    const auto later = start + TrackerOptions{}.idle_interval * 3;
    CHECK(peers_in(tracker.announce(peer(4, 10), {}, later)) == std::multiset<int>{1});
}

TEST_CASE("Tracker: an unknown swarm is refused in words and takes no memory", "[tracker]") {
    Tracker tracker({}, 1);
    CHECK(tracker.announce(peer(1, 10), {}, start).find("failure reason") != std::string::npos);
    CHECK(tracker.peer_total() == 0);
}

TEST_CASE("Tracker: swarms and replies are bounded", "[tracker]") {
    auto tracker = one_swarm({.peers_per_swarm_max = 10, .peers_per_reply_max = 4});
    for (std::uint8_t i = 1; i <= 20; ++i) {
        const auto reply = tracker.announce(peer(i, 10), {}, start);
        CHECK(peers_in(reply).size() <= 4);
    }
    CHECK(tracker.peer_total() == 10);
    auto greedy = peer(1, 10);
    greedy.peers_wanted = SIZE_MAX;
    CHECK(peers_in(tracker.announce(greedy, {}, start)).size() == 4);
}

TEST_CASE("Tracker: replies tell the pace of each phase and are valid bencode", "[tracker]") {
    auto tracker = one_swarm();
    CHECK(tracker.announce(peer(1, 0), {}, start) ==
          "d8:completei1e10:incompletei0e8:intervali60e12:min intervali1e5:peers0:6:peers60:e");
    CHECK(tracker.announce(peer(2, 9), {}, start).find("8:intervali5e") != std::string::npos);
    CHECK(tracker.scrape({SwarmHash{}, SwarmHash{}}, start) ==
          "d5:filesd20:" + std::string(20, '\0') +
              "d8:completei2e10:downloadedi0e10:incompletei1eeee");
}

TEST_CASE("Tracker: every peer of a large swarm is handed out sooner or later", "[tracker]") {
    auto tracker = one_swarm();
    for (std::uint8_t i = 1; i < 200; ++i) {
        (void)tracker.announce(peer(i, 10), {}, start);
    }
    std::set<int> seen;
    for (int i = 0; i < 100; ++i) {
        const auto some = peers_in(tracker.announce(peer(250, 10), {}, start));
        seen.insert(some.begin(), some.end());
    }
    CHECK(seen.size() == 199);
}

} // namespace slipway::seeder
