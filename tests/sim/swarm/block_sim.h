#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "seeder/core/swarm_graph.h"

namespace slipway::sim {

/// Who may send to whom. `assigned` is the tracker's own function; the others are what it is
/// measured against.
enum class Graph {
    assigned,     ///< seeder::SwarmGraph, asked as the seeder asks it.
    random_peers, ///< Each host is told of 50 random hosts at its start, and is connected to them.
    join_order,   ///< Each host calls 10 that came before it and have room for 10.
};

struct SimOptions {
    std::uint32_t hosts = 100;
    std::uint32_t pieces = 256;
    std::uint32_t zones = 1;          ///< Hosts are dealt to zones in turn.
    std::uint32_t join_rounds = 0;    ///< Hosts join over so many rounds; 0: all at the start.
    std::uint32_t killed_percent = 0; ///< So many die when the source is half done.
    Graph graph = Graph::assigned;
    std::uint64_t seed = 1;
};

struct SimResult {
    std::uint32_t finished = 0; ///< Of those that live.
    std::uint32_t living = 0;
    double last = 0; ///< Rounds until the last of them is done, over `pieces`.
    double p50 = 0;
    double source_copies = 0;
    double degree_mean = 0; ///< At the time when all have joined.
    std::uint32_t degree_min = 0;
    std::uint32_t degree_max = 0;
    std::uint32_t between_zones = 0; ///< Edges.
};

/// A swarm in rounds: in each, a host receives at most one piece and sends at most one, and so does
/// the source: all links carry the same. Who sends chooses a random neighbour that lacks something
/// and is free, and the rarest of a few random pieces that it lacks. Nobody can be done before
/// round `pieces`; the last piece needs log2(hosts) more.
///
/// The source sends pieces that nobody has first (swarm::Spread does the same), to hosts of the
/// first tier, or to anyone in the other graphs. Equal options give equal results.
[[nodiscard]] SimResult simulate(const SimOptions& options);

} // namespace slipway::sim
