#include "common/format/plan.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <queue>
#include <unordered_map>

#include "common/core/errc.h"
#include "common/format/plan_graph.h"

namespace slipway {
namespace {

using Chunk = PlanGraph::Chunk;
using BlockId = PlanGraph::BlockId;
constexpr auto none = PlanGraph::none;

/// For each chunk the block that makes it, or none. Following blocks to their bases never leads
/// back: each way to fill it in gives every base a maker before its user.
using Makers = std::vector<BlockId>;

/// Blocks that the wanted chunks need, bases first, and what they cost.
struct Cover {
    std::vector<BlockId> blocks;
    std::uint64_t bytes = 0;
};

/// Depth-first without recursion: a hostile table could chain a million patches.
Cover cover_of(const PlanGraph& graph, const Makers& makers) {
    Cover cover;
    std::vector<bool> entered(graph.block_total());
    struct Visit {
        BlockId block;
        std::size_t next_base;
    };
    std::vector<Visit> stack;
    const auto enter = [&](Chunk chunk) {
        if (!graph.at_hand(chunk) && !entered[makers[chunk]]) {
            entered[makers[chunk]] = true;
            stack.push_back({makers[chunk], 0});
        }
    };
    for (const auto chunk : graph.wanted()) {
        enter(chunk);
        while (!stack.empty()) {
            auto& visit = stack.back();
            const auto bases = graph.bases(visit.block);
            if (visit.next_base < bases.size()) {
                enter(bases[visit.next_base++]);
                continue;
            }
            cover.blocks.push_back(visit.block);
            cover.bytes += graph.cost(visit.block);
            stack.pop_back();
        }
    }
    return cover;
}

/// A priority of (value, number): the least value first, ties by number, so that plans are equal
/// for equal inputs.
template <typename Value>
using LeastFirst =
    std::priority_queue<std::pair<Value, std::uint32_t>,
                        std::vector<std::pair<Value, std::uint32_t>>, std::greater<>>;

/// Covers `wanted` by full blocks: again and again the block with the fewest bytes for each wanted
/// chunk that is not covered yet. Nothing if full blocks do not hold all of them.
std::optional<Makers> full_cover(const PlanGraph& graph) {
    Makers makers(graph.chunk_total(), none);
    std::vector<bool> open(graph.chunk_total());
    for (const auto chunk : graph.wanted()) {
        open[chunk] = true;
    }
    const auto price = [&](BlockId block) {
        const auto chunks = graph.chunks(block);
        const auto useful = std::ranges::count_if(chunks, [&](Chunk c) { return open[c]; });
        return useful == 0 ? -1.0
                           : static_cast<double>(graph.cost(block)) / static_cast<double>(useful);
    };
    LeastFirst<double> queue;
    for (BlockId block = 0; block < graph.block_total(); ++block) {
        if (const auto first = price(block); graph.bases(block).empty() && first >= 0) {
            queue.emplace(first, block);
        }
    }
    auto left = graph.wanted().size();
    while (left > 0 && !queue.empty()) {
        const auto [old_price, block] = queue.top();
        queue.pop();
        // Prices only rise while chunks are covered, so an entry that is out of date can wait.
        if (const auto now = price(block); now > old_price) {
            queue.emplace(now, block);
            continue;
        }
        for (const auto chunk : graph.chunks(block)) {
            if (open[chunk]) {
                open[chunk] = false;
                makers[chunk] = block;
                --left;
            }
        }
    }
    return left == 0 ? std::optional(std::move(makers)) : std::nullopt;
}

/// The cheapest way to each chunk on its own, patches and chains included: Knuth's generalisation
/// of Dijkstra's algorithm, where a block is reached when all its bases are. Cycles cannot be
/// entered, and no recursion bounds the length of chains. `share(block)` is what one chunk of the
/// block is charged, `base(chunk, cost)` what a patch is charged for a base that costs `cost`.
template <typename Share, typename Base>
Makers cheapest_ways(const PlanGraph& graph, const Share& share, const Base& base) {
    Makers makers(graph.chunk_total(), none);
    std::vector<std::uint64_t> bases_cost(graph.block_total());
    std::vector<std::uint32_t> bases_left(graph.block_total());
    std::vector<bool> done(graph.chunk_total());
    LeastFirst<std::uint64_t> queue; // Blocks, by the cost of a chunk of theirs.
    for (BlockId block = 0; block < graph.block_total(); ++block) {
        const auto bases = graph.bases(block);
        bases_left[block] = static_cast<std::uint32_t>(
            std::ranges::count_if(bases, [&](Chunk c) { return !graph.at_hand(c); }));
        if (bases_left[block] == 0) {
            queue.emplace(share(block), block);
        }
    }
    while (!queue.empty()) {
        const auto [cost, block] = queue.top();
        queue.pop();
        for (const auto chunk : graph.chunks(block)) {
            if (done[chunk] || graph.at_hand(chunk)) {
                continue;
            }
            done[chunk] = true;
            makers[chunk] = block;
            for (const auto user : graph.users(chunk)) {
                bases_cost[user] += base(chunk, cost);
                if (--bases_left[user] == 0) {
                    queue.emplace(bases_cost[user] + share(user), user);
                }
            }
        }
    }
    return makers;
}

/// Moves chunks to a full block where that is cheaper than the blocks that only they need: many
/// small patches against one solid block, above all one that is fetched anyway. Estimates; the
/// caller compares what comes out.
Makers with_full_blocks(const PlanGraph& graph, Makers makers, const Cover& cover) {
    std::vector<bool> needed(graph.chunk_total());
    std::vector<std::uint32_t> serves(graph.block_total()); // Needed chunks that a block makes.
    const auto need = [&](Chunk chunk) {
        if (!graph.at_hand(chunk) && !needed[chunk]) {
            needed[chunk] = true;
            ++serves[makers[chunk]];
        }
    };
    std::ranges::for_each(graph.wanted(), need);
    for (const auto block : cover.blocks) {
        std::ranges::for_each(graph.bases(block), need);
    }
    std::unordered_map<BlockId, std::uint32_t> taken; // Chunks of `full` by their maker.
    for (BlockId full = 0; full < graph.block_total(); ++full) {
        if (!graph.bases(full).empty()) {
            continue;
        }
        taken.clear();
        for (const auto chunk : graph.chunks(full)) {
            if (needed[chunk] && makers[chunk] != full) {
                ++taken[makers[chunk]];
            }
        }
        std::uint64_t saved = 0;
        for (const auto& [maker, count] : taken) {
            saved += count == serves[maker] ? graph.cost(maker) : 0;
        }
        if (taken.empty() || saved <= (serves[full] > 0 ? 0 : graph.cost(full))) {
            continue;
        }
        for (const auto chunk : graph.chunks(full)) {
            if (needed[chunk] && makers[chunk] != full) {
                --serves[makers[chunk]];
                ++serves[full];
                makers[chunk] = full;
            }
        }
    }
    return makers;
}

std::vector<bool> wanted_marks(const PlanGraph& graph) {
    std::vector<bool> wanted(graph.chunk_total());
    for (const auto chunk : graph.wanted()) {
        wanted[chunk] = true;
    }
    return wanted;
}

/// What a chunk of `block` is charged when all its wanted chunks share the cost.
std::vector<std::uint64_t> shared_costs(const PlanGraph& graph, const std::vector<bool>& wanted) {
    std::vector<std::uint64_t> costs(graph.block_total());
    for (BlockId block = 0; block < graph.block_total(); ++block) {
        const auto useful = static_cast<std::uint64_t>(
            std::ranges::count_if(graph.chunks(block), [&](Chunk c) { return wanted[c]; }));
        costs[block] = graph.cost(block) / std::max<std::uint64_t>(useful, 1);
    }
    return costs;
}

/// Keeps the cheapest cover that it is shown.
class Best {
public:
    explicit Best(const PlanGraph& graph) : graph_(graph) {}

    /// True if it is the cheapest so far.
    bool offer(const Makers& makers) {
        auto cover = cover_of(graph_, makers);
        if (cover_ && cover.bytes >= cover_->bytes) {
            return false;
        }
        cover_ = std::move(cover);
        return true;
    }

    /// Offers `makers`, then what full blocks make of it as long as that gains.
    void improve(Makers makers) {
        offer(makers);
        constexpr int rounds_max = 4;
        for (int round = 0; round < rounds_max; ++round) {
            makers = with_full_blocks(graph_, makers, cover_of(graph_, makers));
            if (!offer(makers)) {
                return;
            }
        }
    }

    [[nodiscard]] const Cover& cover() const { return *cover_; }

private:
    const PlanGraph& graph_;
    std::optional<Cover> cover_;
};

tl::unexpected<Error> no_way_to(const ChunkKey& key) {
    return fail(Errc::not_found, "no pack leads to chunk " + to_hex(key.bytes) + "...");
}

} // namespace

Result<Plan> make_plan(const PlanInput& input) {
    const PlanGraph graph(input);
    if (graph.unknown() != nullptr) {
        return no_way_to(graph.unknown()->key);
    }
    const auto whole = [&](BlockId block) { return graph.cost(block); };
    const auto in_full = [](Chunk /*base*/, std::uint64_t cost) { return cost; };
    auto apart = cheapest_ways(graph, whole, in_full);
    for (const auto chunk : graph.wanted()) {
        if (apart[chunk] == none) {
            return no_way_to(graph.key_of(chunk));
        }
    }
    Best best(graph);
    if (const auto full = full_cover(graph)) {
        best.offer(*full);
    }
    const auto wanted = wanted_marks(graph);
    const auto costs = shared_costs(graph, wanted);
    const auto shared = [&](BlockId block) { return costs[block]; };
    // A base that is wanted itself is fetched anyway.
    const auto unless_wanted = [&](Chunk base, std::uint64_t cost) {
        return wanted[base] ? 0 : cost;
    };
    best.improve(std::move(apart));
    best.improve(cheapest_ways(graph, shared, in_full));
    best.improve(cheapest_ways(graph, shared, unless_wanted));
    Plan plan;
    plan.fetch_bytes = best.cover().bytes;
    for (const auto block : best.cover().blocks) {
        plan.blocks.push_back(graph.planned(block));
    }
    return plan;
}

std::vector<std::vector<std::size_t>> toc_rounds(const PackMap& map,
                                                 std::span<const Sha256Digest> have) {
    // Every patch pack of a map leads towards its artifact. Which ones begin at what the host has?
    std::vector<Sha256Digest> ahead(have.begin(), have.end());
    std::vector<bool> first(map.packs.size());
    for (std::size_t next = 0; next < ahead.size(); ++next) {
        for (std::size_t i = 0; i < map.packs.size(); ++i) {
            const auto& pack = map.packs[i];
            if (pack.role == PackRole::patch && !first[i] && pack.from == ahead[next]) {
                first[i] = true;
                ahead.push_back(pack.to);
            }
        }
    }
    const bool has_way = std::ranges::find(first, true) != first.end() ||
                         std::ranges::find(have, map.manifest) != have.end();
    std::vector<std::vector<std::size_t>> rounds(2);
    for (std::size_t i = 0; i < map.packs.size(); ++i) {
        const auto& pack = map.packs[i];
        const bool is_newest = pack.role == PackRole::base && pack.to == map.manifest;
        const bool is_early = has_way ? first[i] || is_newest : pack.role == PackRole::base;
        if (is_early) {
            rounds[0].push_back(i);
        } else if (pack.role == PackRole::base) {
            rounds[1].push_back(i);
        }
    }
    std::erase_if(rounds, [](const auto& round) { return round.empty(); });
    return rounds;
}

} // namespace slipway
