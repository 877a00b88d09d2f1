#include "common/swarm/spread.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>

using namespace slipway::swarm;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t pieces = 64;
const Spread::TimePoint start{1h};

std::vector<bool> all(std::size_t count = pieces) {
    return std::vector<bool>(count, true);
}

// Shows and takes until nothing more is shown; what the peer was shown.
std::vector<std::size_t> take_all(Spread& spread, Spread::Peer peer, Spread::TimePoint now) {
    std::vector<std::size_t> taken;
    for (auto shown = spread.show(peer, false, now); !shown.empty();
         shown = spread.show(peer, false, now)) {
        for (const auto piece : shown) {
            spread.has(peer, piece, now);
            taken.push_back(piece);
        }
    }
    return taken;
}

} // namespace

TEST_CASE("spread: no piece is shown to two peers while another was shown to nobody", "[spread]") {
    Spread spread(pieces, 7);
    for (Spread::Peer peer = 1; peer <= 4; ++peer) {
        spread.wants(peer, all(), start);
    }
    std::map<std::size_t, int> shown;
    for (int round = 0; shown.size() < pieces; ++round) {
        REQUIRE(round < 100);
        for (Spread::Peer peer = 1; peer <= 4; ++peer) {
            for (const auto piece : spread.show(peer, false, start)) {
                CHECK(++shown[piece] == 1);
                spread.has(peer, piece, start);
            }
        }
    }
}

TEST_CASE("spread: a choked peer sees one piece, another four, and more as it gets them",
          "[spread]") {
    Spread spread(1'000, 7);
    spread.wants(1, all(1'000), start);
    spread.wants(2, all(1'000), start);
    CHECK(spread.show(1, true, start).size() == Spread::window_choked);
    auto window = spread.show(2, false, start);
    CHECK(window.size() == Spread::window_min);
    CHECK(spread.show(2, false, start).empty());
    for (const auto piece : window) {
        spread.has(2, piece, start);
    }
    window = spread.show(2, false, start);
    CHECK(window.size() == Spread::window_min * 2);
    spread.has(2, window.front(), start + 10ms);
    CHECK(spread.show(2, false, start + 10ms).size() == 3); // Room for 10 in all.
}

TEST_CASE("spread: what a peer that stands still was shown is withdrawn from it and goes to others",
          "[spread]") {
    Spread spread(8, 7);
    spread.wants(1, all(8), start);
    spread.wants(2, all(8), start);
    const auto held = spread.show(1, false, start);
    REQUIRE(held.size() == Spread::window_min);
    auto taken = take_all(spread, 2, start + 1s);
    CHECK(taken.size() == 4);
    CHECK(spread.take_withdrawn(1).empty());
    // One of them comes back, so that it may show that it moves again.
    CHECK(spread.show(1, false, start + Spread::lease).size() == 1);
    CHECK(spread.take_withdrawn(1).size() == Spread::window_min);
    const auto rest = take_all(spread, 2, start + Spread::lease);
    taken.insert(taken.end(), rest.begin(), rest.end());
    CHECK(std::set<std::size_t>(taken.begin(), taken.end()).size() == 7);
}

TEST_CASE("spread: what a peer that left was shown goes to others at once", "[spread]") {
    Spread spread(4, 7);
    spread.wants(1, all(4), start);
    REQUIRE(spread.show(1, false, start).size() == 4);
    spread.wants(2, all(4), start);
    CHECK(spread.show(2, false, start).empty());
    spread.leave(1);
    CHECK(spread.show(2, false, start).size() == 4);
    CHECK(spread.peers() == 1);
}

TEST_CASE("spread: what only a peer that left had is shown to the next at once", "[spread]") {
    Spread spread(pieces, 7);
    spread.wants(1, all(), start);
    REQUIRE(take_all(spread, 1, start).size() == pieces);
    spread.leave(1);
    spread.wants(2, all(), start);
    CHECK(take_all(spread, 2, start).size() == pieces);
}

TEST_CASE("spread: only what a peer wants is shown to it, also when it wants something else later",
          "[spread]") {
    Spread spread(pieces, 7);
    std::vector<bool> one(pieces, false);
    one[3] = true;
    spread.wants(1, one, start);
    CHECK(take_all(spread, 1, start) == std::vector<std::size_t>{3});
    std::vector<bool> two(pieces, false);
    two[4] = two[60] = true;
    spread.wants(1, two, start);
    auto taken = take_all(spread, 1, start);
    std::ranges::sort(taken);
    CHECK(taken == std::vector<std::size_t>{4, 60});
}

TEST_CASE("spread: a peer that lacks what was sent to another one only gets it in the end",
          "[spread]") {
    Spread spread(pieces, 7);
    spread.wants(1, all(), start);
    CHECK(take_all(spread, 1, start).size() == pieces);
    spread.wants(2, all(), start);
    CHECK(spread.show(2, false, start + Spread::again_after - 1ms).empty());
    CHECK(take_all(spread, 2, start + Spread::again_after).size() == pieces);
}

TEST_CASE(
    "spread: peers that are not known, pieces that there are not, and lists of another length "
    "do no harm",
    "[spread]") {
    Spread spread(4, 7);
    spread.has(9, 0, start);
    spread.leave(9);
    CHECK(spread.show(9, false, start).empty());
    spread.wants(1, all(100), start);
    spread.has(1, 50, start);
    CHECK(spread.show(1, false, start).size() == 4);
    spread.wants(2, {}, start);
    CHECK(spread.show(2, false, start).empty());
}
