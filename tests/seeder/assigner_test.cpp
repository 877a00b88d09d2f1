#include "seeder/core/assigner.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

using namespace slipway;
using namespace slipway::seeder;
using namespace std::chrono_literals;

namespace {

const std::string hash(40, 'a');
const std::string other(40, 'b');
const Assigner::TimePoint start{1h};

std::string ip_of(unsigned host) {
    return "10.0." + std::to_string(host / 250) + "." + std::to_string(host % 250 + 1);
}

api::SwarmCall call_of(unsigned host, std::uint64_t lacks = 1'000) {
    auto digits = std::to_string(host);
    return {.session = std::string(16 - digits.size(), '0') + digits,
            .port = 6881,
            .zone = {},
            .region = {},
            .swarms = {{.swarm = hash, .lacks = lacks, .bad = {}}}};
}

struct Desk {
    Desk() : assigner({}, ZoneMap("eu"), 3) { assigner.add_swarm(hash); }
    api::SwarmOrders call(unsigned host, std::uint64_t lacks = 1'000,
                          Assigner::TimePoint now = start) {
        return assigner.call(call_of(host, lacks), ip_of(host), now).swarms.at(0);
    }
    api::SwarmOrders orders(unsigned host) const {
        return assigner.orders(call_of(host), ip_of(host)).swarms.at(0);
    }
    Assigner assigner;
};

std::set<std::string> peers(const api::SwarmOrders& orders) {
    std::set<std::string> all(orders.dial.begin(), orders.dial.end());
    all.insert(orders.expect.begin(), orders.expect.end());
    return all;
}

} // namespace

TEST_CASE("assigner: both ends of an edge are told of each other, and one of them dials",
          "[assigner]") {
    Desk desk;
    for (unsigned host = 0; host < 40; ++host) {
        CHECK(desk.call(host).known);
    }
    std::size_t sources = 0;
    for (unsigned host = 0; host < 40; ++host) {
        const auto mine = desk.orders(host);
        sources += mine.source ? 1 : 0;
        CHECK(peers(mine).size() >= 7);
        for (unsigned there = 0; there < 40; ++there) {
            const auto theirs = desk.orders(there);
            const auto here = ip_of(host) + ":6881";
            const bool dials = std::ranges::count(mine.dial, ip_of(there) + ":6881") > 0;
            CHECK(dials == (std::ranges::count(theirs.expect, here) > 0));
        }
    }
    CHECK(sources == GraphOptions{}.first_tier);
}

TEST_CASE("assigner: a host is woken when its orders change, and not else", "[assigner]") {
    Desk desk;
    (void)desk.call(0);
    (void)desk.assigner.take_woken();
    const auto seen = desk.assigner.orders(call_of(0), ip_of(0)).generation;
    (void)desk.call(0);
    CHECK(desk.assigner.take_woken().empty());
    CHECK(desk.assigner.orders(call_of(0), ip_of(0)).generation == seen);
    (void)desk.call(1);
    const auto woken = desk.assigner.take_woken();
    CHECK(std::ranges::count(woken, Assigner::key_of(call_of(0), ip_of(0))) > 0);
    CHECK(desk.assigner.orders(call_of(0), ip_of(0)).generation > seen);
    CHECK(desk.orders(0).expect == std::vector<std::string>{ip_of(1) + ":6881"});
}

TEST_CASE("assigner: who falls silent, says good-bye or comes back is not assigned twice",
          "[assigner]") {
    Desk desk;
    for (unsigned host = 0; host < 3; ++host) {
        (void)desk.call(host);
    }
    auto bye = call_of(1);
    bye.swarms.clear();
    (void)desk.assigner.call(bye, ip_of(1), start);
    CHECK(peers(desk.orders(0)) == std::set<std::string>{ip_of(2) + ":6881"});

    auto again = call_of(7); // The agent of host 2 after its restart.
    (void)desk.assigner.call(again, ip_of(2), start);
    CHECK(peers(desk.orders(0)) == std::set<std::string>{ip_of(2) + ":6881"});
    CHECK(desk.assigner.memberships() == 2);

    const auto late = start + AssignerOptions{}.silence_max;
    (void)desk.call(0, 1'000, late - 1s);
    desk.assigner.expire(late);
    CHECK(desk.assigner.sessions() == 1); // Only host 0 called again.
    desk.assigner.expire(late + 2s);
    CHECK(peers(desk.orders(0)).empty());
    CHECK(desk.assigner.memberships() == 1);
}

TEST_CASE("assigner: swarms that the seeder does not share are said to be unknown", "[assigner]") {
    Desk desk;
    auto call = call_of(0);
    call.swarms.push_back({.swarm = other, .bad = {}});
    const auto answer = desk.assigner.call(call, ip_of(0), start);
    REQUIRE(answer.swarms.size() == 2);
    CHECK(answer.swarms[0].known);
    CHECK_FALSE(answer.swarms[1].known);
    desk.assigner.remove_swarm(hash);
    CHECK_FALSE(desk.orders(0).known);
    CHECK(desk.assigner.memberships() == 0);
}

TEST_CASE("assigner: a peer from whom nothing comes is exchanged for another", "[assigner]") {
    Desk desk;
    for (unsigned host = 0; host < 40; ++host) {
        (void)desk.call(host);
    }
    auto call = call_of(5);
    const auto bad =
        desk.orders(5).dial.empty() ? desk.orders(5).expect[0] : desk.orders(5).dial[0];
    call.swarms[0].bad = {bad, "192.0.2.99:1"};
    (void)desk.assigner.call(call, ip_of(5), start);
    const auto after = desk.orders(5);
    CHECK_FALSE(peers(after).contains(bad));
    CHECK(peers(after).size() >= 7);
}

TEST_CASE("zone map: the label counts, then the longest prefix, then the seeder's region",
          "[assigner]") {
    ZoneMap zones("eu");
    REQUIRE(zones.add("10.0.0.0/8=eu-1"));
    REQUIRE(zones.add("10.1.0.0/16=us/us-1"));
    REQUIRE(zones.add("fd00::/8=us/us-1"));
    const auto eu = zones.place("", "", "10.2.0.1");
    const auto us = zones.place("", "", "10.1.0.1");
    CHECK(eu.region != us.region);
    CHECK(zones.place("", "", "fd00::5").zone == us.zone);
    CHECK(zones.place("eu", "eu-1", "10.1.0.1").zone == eu.zone);
    CHECK(zones.place("", "", "192.0.2.1").region == eu.region);
    CHECK(zones.place("", "", "192.0.2.1").zone != eu.zone);
    for (const auto* bad : {"", "10.0.0.0=a", "10.0.0.0/33=a", "10.0.0/8=a", "10.0.0.0/8=", "x/8=a",
                            "fd00::/129=a", "10.0.0.0/8=eu/"}) {
        CHECK_FALSE(zones.add(bad));
    }
}
