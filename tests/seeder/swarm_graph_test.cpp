#include "seeder/core/swarm_graph.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <set>

using namespace slipway::seeder;

namespace {

using Node = SwarmGraph::Node;

std::size_t inside(const SwarmGraph& graph, Node node) {
    return static_cast<std::size_t>(
        std::ranges::count_if(graph.edges(node), [](const auto& edge) { return !edge.long_link; }));
}

// Both ends know each edge, one of them dials it, and nobody is linked to itself or twice.
void check_whole(const SwarmGraph& graph, const std::vector<Node>& nodes) {
    for (const auto node : nodes) {
        std::set<Node> seen;
        for (const auto& edge : graph.edges(node)) {
            REQUIRE(edge.to != node);
            REQUIRE(graph.present(edge.to));
            REQUIRE(seen.insert(edge.to).second);
            const auto& back = graph.edges(edge.to);
            const auto other =
                std::ranges::find(back, node, [](const auto& each) { return each.to; });
            REQUIRE(other != back.end());
            REQUIRE(other->dials != edge.dials);
            REQUIRE(other->long_link == edge.long_link);
        }
    }
}

std::size_t reached_from(const SwarmGraph& graph, Node first) {
    std::set<Node> seen{first};
    std::vector<Node> open{first};
    while (!open.empty()) {
        const auto node = open.back();
        open.pop_back();
        for (const auto& edge : graph.edges(node)) {
            if (seen.insert(edge.to).second) {
                open.push_back(edge.to);
            }
        }
    }
    return seen.size();
}

} // namespace

TEST_CASE("swarm graph: hosts that join one by one form one regular graph", "[graph]") {
    const auto count = GENERATE(2U, 5U, 9U, 10U, 33U, 500U);
    SwarmGraph graph({}, 11);
    std::vector<Node> nodes;
    for (unsigned i = 0; i < count; ++i) {
        nodes.push_back(graph.join({}, false));
    }
    check_whole(graph, nodes);
    CHECK(reached_from(graph, nodes.front()) == count);
    const auto degree = std::min<std::size_t>(GraphOptions{}.degree, count - 1);
    std::size_t short_of = 0;
    for (const auto node : nodes) {
        CHECK(inside(graph, node) <= degree);
        short_of += degree - inside(graph, node);
    }
    CHECK(short_of <= count / 50 + 2);
}

TEST_CASE("swarm graph: it stays whole, regular and connected while hosts come, finish and go",
          "[graph]") {
    const auto seed = GENERATE(1U, 2U, 3U);
    CAPTURE(seed);
    SwarmGraph graph({}, seed);
    std::mt19937 random(seed);
    std::vector<Node> nodes;
    for (int step = 0; step < 3'000; ++step) {
        const auto what = random() % 10;
        if (what < 5 || nodes.size() < 50) {
            nodes.push_back(
                graph.join({.region = 0, .zone = static_cast<std::uint32_t>(random() % 3)}, false));
        } else if (what < 8) {
            const auto at = random() % nodes.size();
            graph.leave(nodes[at]);
            nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(at));
        } else if (what == 8) {
            graph.finish(nodes[random() % nodes.size()]);
        } else {
            const auto node = nodes[random() % nodes.size()];
            if (!graph.edges(node).empty()) {
                graph.replace(node, graph.edges(node)[0].to);
            }
        }
    }
    check_whole(graph, nodes);
    CHECK(graph.size() == nodes.size());
    std::size_t lacking = 0;
    std::size_t edges = 0;
    for (const auto node : nodes) {
        CHECK(inside(graph, node) <= GraphOptions{}.degree);
        if (!graph.complete(node)) {
            ++lacking;
            edges += inside(graph, node);
        }
    }
    CHECK(edges >= lacking * 7);
    const auto first =
        std::ranges::find_if(nodes, [&](Node node) { return !graph.complete(node); });
    REQUIRE(first != nodes.end());
    CHECK(reached_from(graph, *first) >= lacking);
}

TEST_CASE("swarm graph: zones of a region are tied by few links, regions by none", "[graph]") {
    SwarmGraph graph({}, 5);
    std::vector<Node> nodes;
    std::vector<std::uint32_t> zone_of;
    for (unsigned i = 0; i < 300; ++i) {
        const auto zone = i % 3;
        nodes.push_back(graph.join({.region = zone == 2 ? 1U : 0U, .zone = zone}, false));
        zone_of.push_back(zone);
    }
    check_whole(graph, nodes);
    std::size_t between = 0;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        for (const auto& edge : graph.edges(nodes[i])) {
            const auto there = zone_of[static_cast<std::size_t>(std::ranges::find(nodes, edge.to) -
                                                                nodes.begin())];
            CHECK(edge.long_link == (there != zone_of[i]));
            CHECK((zone_of[i] == 2) == (there == 2));
            between += edge.long_link ? 1 : 0;
        }
    }
    CHECK(between / 2 >= GraphOptions{}.long_links_min);
    CHECK(between / 2 <= 30);
    CHECK(reached_from(graph, nodes[0]) == 200);
}

TEST_CASE("swarm graph: the first tier is handed out, taken back, and has places in each region",
          "[graph]") {
    SwarmGraph graph({}, 5);
    std::vector<Node> nodes;
    const auto first_tier = [&](std::uint32_t from, std::uint32_t to) {
        return std::count_if(nodes.begin() + from, nodes.begin() + to, [&](Node node) {
            return graph.present(node) && graph.first_tier(node);
        });
    };
    for (unsigned i = 0; i < 40; ++i) {
        nodes.push_back(graph.join({.region = i < 20 ? 0U : 1U, .zone = i < 20 ? 0U : 1U}, false));
    }
    CHECK(first_tier(0, 20) == GraphOptions{}.first_tier);
    CHECK(first_tier(20, 40) == GraphOptions{}.first_tier);
    for (unsigned i = 0; i < 15; ++i) {
        i % 2 == 0 ? graph.finish(nodes[i]) : graph.leave(nodes[i]);
    }
    CHECK(first_tier(0, 15) == 0);
    CHECK(first_tier(15, 20) == 5);
    graph.starving(nodes[20]);
    for (unsigned i = 20; i < 40; ++i) {
        graph.starving(nodes[i]);
    }
    CHECK(first_tier(20, 40) == 2 * GraphOptions{}.first_tier);
}

TEST_CASE("swarm graph: hosts that have everything serve those that come later", "[graph]") {
    SwarmGraph graph({}, 5);
    std::vector<Node> done;
    for (unsigned i = 0; i < 100; ++i) {
        done.push_back(graph.join({}, false));
    }
    for (const auto node : done) {
        graph.finish(node);
    }
    CHECK(std::ranges::all_of(done, [&](Node node) { return graph.edges(node).empty(); }));
    const auto late = graph.join({}, false);
    CHECK(graph.edges(late).size() == GraphOptions{}.degree);
    CHECK(std::ranges::all_of(graph.edges(late), [](const auto& edge) { return edge.dials; }));
    graph.resume(done.front());
    CHECK_FALSE(graph.edges(done.front()).empty());
}

TEST_CASE("swarm graph: equal calls with equal seeds give equal graphs", "[graph]") {
    const auto edges_of = [](std::uint64_t seed) {
        SwarmGraph graph({}, seed);
        std::vector<Node> all;
        for (unsigned i = 0; i < 64; ++i) {
            graph.join({}, false);
        }
        for (Node node = 0; node < 64; ++node) {
            for (const auto& edge : graph.edges(node)) {
                all.push_back(edge.to);
            }
        }
        return all;
    };
    CHECK(edges_of(3) == edges_of(3));
    CHECK(edges_of(3) != edges_of(5));
}
