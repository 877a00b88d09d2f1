#include "tests/sim/swarm/block_sim.h"

#include <catch2/catch.hpp>

using namespace slipway::sim;

TEST_CASE("swarm sim: with assigned edges the last host is done when nearly all are", "[sim]") {
    const auto seed = GENERATE(1U, 2U);
    CAPTURE(seed);
    const auto assigned = simulate({.hosts = 100, .pieces = 256, .seed = seed});
    CHECK(assigned.finished == 100);
    CHECK(assigned.last <= 1.17);
    CHECK(assigned.last - assigned.p50 <= 0.06);
    CHECK(assigned.source_copies <= 1.05);
    CHECK(assigned.degree_min >= 7);
    CHECK(assigned.degree_max <= 8);
}

TEST_CASE("swarm sim: hosts that come late, and hosts whose neighbours died, get everything",
          "[sim]") {
    const auto late = simulate({.hosts = 100, .pieces = 128, .join_rounds = 64, .seed = 3});
    CHECK(late.finished == 100);
    CHECK(late.last <= 1.8);
    const auto killed = simulate({.hosts = 100, .pieces = 128, .killed_percent = 30, .seed = 4});
    CHECK(killed.finished == killed.living);
    CHECK(killed.living < 90);
    CHECK(killed.last <= 1.5);
}

TEST_CASE("swarm sim: zones exchange over few links and nobody waits for another zone", "[sim]") {
    const auto zones = simulate({.hosts = 100, .pieces = 256, .zones = 4, .seed = 5});
    CHECK(zones.finished == 100);
    CHECK(zones.last <= 1.3);
    CHECK(zones.between_zones >= 24);
    CHECK(zones.between_zones <= 60);
}
