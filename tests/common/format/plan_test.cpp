#include "common/format/plan.h"

#include <chrono>
#include <deque>
#include <map>
#include <set>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include "common/core/errc.h"

namespace slipway {
namespace {

ChunkRef chunk(std::uint64_t number) {
    ChunkRef ref{{}, 1000};
    std::memcpy(ref.key.bytes.data(), &number, sizeof number);
    return ref;
}

std::vector<ChunkRef> chunks(const std::vector<std::uint64_t>& numbers) {
    std::vector<ChunkRef> refs;
    for (const auto number : numbers) {
        refs.push_back(chunk(number));
    }
    return refs;
}

/// Packs under construction, and what a host has and wants.
struct Scene {
    std::deque<PackToc> tocs;
    std::unordered_set<ChunkKey> available;
    std::unordered_set<ChunkKey> distrusted;

    void pack() { tocs.emplace_back(); }
    void block(std::uint64_t cost, const std::vector<std::uint64_t>& makes,
               const std::vector<std::uint64_t>& bases = {}) {
        Block made;
        made.encoded_bytes = cost;
        made.chunks = chunks(makes);
        made.bases = chunks(bases);
        tocs.back().blocks.push_back(made);
    }
    void have(const std::vector<std::uint64_t>& numbers) {
        for (const auto number : numbers) {
            available.insert(chunk(number).key);
        }
    }
    [[nodiscard]] Result<Plan> plan(const std::vector<std::uint64_t>& wanted) const {
        std::vector<PlanPack> packs;
        for (const auto& toc : tocs) {
            packs.push_back({&toc});
        }
        const auto refs = chunks(wanted);
        return make_plan({refs, &available, &distrusted, packs});
    }
    /// Checks that carrying the plan out gives what is wanted, each base before its user.
    [[nodiscard]] bool works(const Plan& plan, const std::vector<std::uint64_t>& wanted) const {
        std::set<ChunkKey> held;
        for (const auto& key : available) {
            if (!distrusted.contains(key)) {
                held.insert(key);
            }
        }
        std::uint64_t bytes = 0;
        std::set<PlannedBlock> seen;
        for (const auto& planned : plan.blocks) {
            const auto& block = tocs[planned.pack].blocks[planned.block];
            bytes += block.encoded_bytes;
            if (!seen.insert(planned).second) {
                return false;
            }
            for (const auto& base : block.bases) {
                if (!held.contains(base.key)) {
                    return false;
                }
            }
            for (const auto& made : block.chunks) {
                held.insert(made.key);
            }
        }
        return bytes == plan.fetch_bytes &&
               std::ranges::all_of(chunks(wanted),
                                   [&](const ChunkRef& ref) { return held.contains(ref.key); });
    }
};

using Blocks = std::vector<PlannedBlock>;

} // namespace

TEST_CASE("plan: a fresh host takes full blocks", "[plan]") {
    Scene scene;
    scene.pack();
    scene.block(100, {1, 2, 3});
    scene.block(50, {4});
    scene.pack();
    scene.block(1, {1}, {9});
    const auto plan = scene.plan({1, 2, 3, 4});
    REQUIRE(plan);
    CHECK(plan->fetch_bytes == 150);
}

TEST_CASE("plan: a host with the base takes the patch", "[plan]") {
    Scene scene;
    scene.pack();
    scene.block(100, {2});
    scene.pack();
    scene.block(5, {2}, {1});
    scene.have({1});
    const auto plan = scene.plan({2});
    REQUIRE(plan);
    CHECK(plan->blocks == Blocks{{1, 0}});
}

TEST_CASE("plan: a chain of patches is taken when it is shorter than the full block", "[plan]") {
    Scene scene;
    scene.pack();
    scene.block(100, {3});
    scene.block(100, {2});
    scene.pack();
    scene.block(10, {3}, {2});
    scene.pack();
    scene.block(10, {2}, {1});
    scene.have({1});
    const auto plan = scene.plan({3});
    REQUIRE(plan);
    CHECK(plan->blocks == Blocks{{2, 0}, {1, 0}});

    scene.tocs[2].blocks[0].encoded_bytes = 95;
    const auto direct = scene.plan({3});
    REQUIRE(direct);
    CHECK(direct->blocks == Blocks{{0, 0}});
}

TEST_CASE("plan: patches of chunks that a needed solid block holds anyway are left out", "[plan]") {
    Scene scene;
    scene.pack();
    scene.block(100, {1, 2, 3}); // 3 has no patch.
    scene.pack();
    scene.block(5, {1}, {11});
    scene.block(5, {2}, {12});
    scene.have({11, 12});
    const auto plan = scene.plan({1, 2, 3});
    REQUIRE(plan);
    CHECK(plan->blocks == Blocks{{0, 0}});
}

TEST_CASE("plan: many small patches lose against one solid block", "[plan]") {
    Scene scene;
    scene.pack();
    scene.block(40, {1, 2, 3, 4, 5});
    scene.block(1000, {6});
    scene.pack();
    for (std::uint64_t i = 1; i <= 6; ++i) {
        scene.block(10, {i}, {10 + i});
    }
    scene.have({11, 12, 13, 14, 15, 16});
    const auto plan = scene.plan({1, 2, 3, 4, 5, 6});
    REQUIRE(plan);
    CHECK(plan->fetch_bytes == 50);
}

TEST_CASE("plan: a solid patch over several chunks is counted once", "[plan]") {
    Scene scene;
    scene.pack();
    scene.block(60, {1});
    scene.block(60, {2});
    scene.pack();
    scene.block(80, {1, 2}, {11, 12});
    scene.have({11, 12});
    const auto plan = scene.plan({1, 2});
    REQUIRE(plan);
    CHECK(plan->blocks == Blocks{{1, 0}});
}

TEST_CASE("plan: distrusted chunks are no bases, and may be wanted", "[plan]") {
    Scene scene;
    scene.pack();
    scene.block(100, {2});
    scene.block(97, {1});
    scene.pack();
    scene.block(5, {2}, {1});
    scene.have({1});
    scene.distrusted.insert(chunk(1).key);
    const auto plan = scene.plan({2});
    REQUIRE(plan);
    CHECK(plan->blocks == Blocks{{0, 0}});
    const auto both = scene.plan({2, 1});
    REQUIRE(both);
    CHECK(both->blocks == Blocks{{0, 1}, {1, 0}});
}

TEST_CASE("plan: what is at hand costs nothing, and nothing wanted is an empty plan", "[plan]") {
    Scene scene;
    scene.pack();
    scene.block(100, {2});
    scene.have({1, 2});
    for (const auto& wanted : {std::vector<std::uint64_t>{}, {1}, {1, 2}}) {
        const auto plan = scene.plan(wanted);
        REQUIRE(plan);
        CHECK(plan->blocks.empty());
    }
}

TEST_CASE("plan: patches in a circle lead nowhere and are named as missing", "[plan]") {
    Scene scene;
    scene.pack();
    scene.block(1, {1}, {2});
    scene.block(1, {2}, {1});
    scene.block(1, {3}, {3});
    for (const auto& wanted : {std::vector<std::uint64_t>{1}, {3}, {4}}) {
        const auto plan = scene.plan(wanted);
        REQUIRE_FALSE(plan);
        CHECK(plan.error().code == Errc::not_found);
    }
}

TEST_CASE("plan: always works and never moves more than full blocks alone", "[plan]") {
    CHECK(rc::check([] {
        Scene scene;
        const auto chunk_total = *rc::gen::inRange<std::uint64_t>(1, 30);
        const auto number = rc::gen::inRange<std::uint64_t>(0, chunk_total);
        scene.pack(); // Disjoint full blocks of all chunks: their cover is known.
        std::uint64_t first = 0;
        std::map<std::uint64_t, std::pair<std::size_t, std::uint64_t>> full; // Block and cost.
        while (first < chunk_total) {
            const auto last = std::min(chunk_total, first + *rc::gen::inRange<std::uint64_t>(1, 6));
            const auto cost = *rc::gen::inRange<std::uint64_t>(1, 1000);
            std::vector<std::uint64_t> made;
            for (; first < last; ++first) {
                made.push_back(first);
                full[first] = {scene.tocs.back().blocks.size(), cost};
            }
            scene.block(cost, made);
        }
        for (int packs = *rc::gen::inRange(0, 4); packs > 0; --packs) {
            scene.pack();
            for (int blocks = *rc::gen::inRange(0, 12); blocks > 0; --blocks) {
                const auto made = *rc::gen::unique<std::vector<std::uint64_t>>(
                    *rc::gen::inRange<std::size_t>(1, std::min<std::uint64_t>(4, chunk_total + 1)),
                    number);
                const auto bases = *rc::gen::container<std::vector<std::uint64_t>>(
                    *rc::gen::inRange<std::size_t>(1, 4), number);
                scene.block(*rc::gen::inRange<std::uint64_t>(1, 500), made, bases);
            }
        }
        scene.have(*rc::gen::container<std::vector<std::uint64_t>>(number));
        const auto wanted = *rc::gen::container<std::vector<std::uint64_t>>(number);
        const auto plan = scene.plan(wanted);
        RC_ASSERT(plan.has_value());
        RC_ASSERT(scene.works(*plan, wanted));
        std::map<std::size_t, std::uint64_t> cover;
        for (const auto want : wanted) {
            if (!scene.available.contains(chunk(want).key)) {
                cover.insert(full[want]);
            }
        }
        std::uint64_t full_bytes = 0;
        for (const auto& [block, cost] : cover) {
            full_bytes += cost;
        }
        RC_ASSERT(plan->fetch_bytes <= full_bytes);
        RC_ASSERT(scene.plan(wanted)->blocks == plan->blocks);
    }));
}

TEST_CASE("plan: a deep chain does not overflow the stack", "[plan]") {
    Scene scene;
    scene.pack();
    constexpr std::uint64_t depth = 200'000;
    scene.block(1, {0});
    for (std::uint64_t i = 1; i < depth; ++i) {
        scene.block(1, {i}, {i - 1});
    }
    const auto plan = scene.plan({depth - 1});
    REQUIRE(plan);
    CHECK(plan->blocks.size() == depth);
}

TEST_CASE("toc_rounds: a fresh host reads base packs, an upgrade patches first", "[plan]") {
    const auto digest = [](std::string_view text) { return sha256(as_bytes(text)); };
    const auto pack = [&](PackRole role, std::string_view from, std::string_view to) {
        PackEntry entry;
        entry.role = role;
        entry.to = digest(to);
        entry.from = from.empty() ? Sha256Digest{} : digest(from);
        return entry;
    };
    const PackMap map{digest("3"),
                      {pack(PackRole::base, "", "1"), pack(PackRole::base, "", "3"),
                       pack(PackRole::patch, "2", "3"), pack(PackRole::patch, "1", "2"),
                       pack(PackRole::patch, "0", "1")}};
    using Rounds = std::vector<std::vector<std::size_t>>;
    const auto rounds = [&](const std::vector<Sha256Digest>& have) {
        return toc_rounds(map, have);
    };
    CHECK(rounds({}) == Rounds{{0, 1}});
    CHECK(rounds({digest("elsewhere")}) == Rounds{{0, 1}});
    CHECK(rounds({digest("2")}) == Rounds{{1, 2}, {0}});
    CHECK(rounds({digest("1")}) == Rounds{{1, 2, 3}, {0}});
    CHECK(rounds({digest("0")}) == Rounds{{1, 2, 3, 4}, {0}});
    CHECK(rounds({digest("3")}) == Rounds{{1}, {0}});
}

} // namespace slipway
