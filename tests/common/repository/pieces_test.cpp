// The pure parts of publishing: what shares a block, which packs are used, who came from whom.
#include "common/repository/arrange.h"
#include "common/repository/base_cover.h"
#include "common/repository/differ.h"
#include "common/repository/layout.h"
#include "common/repository/ordered_work.h"
#include "common/repository/predecessor.h"

#include <atomic>

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway {
namespace {

ChunkRef chunk(std::uint8_t number, std::uint64_t bytes = 1000) {
    ChunkRef ref{{}, bytes};
    ref.key.bytes[0] = number;
    return ref;
}

PackToc pack(const std::vector<std::vector<std::uint8_t>>& blocks) {
    PackToc toc;
    for (const auto& numbers : blocks) {
        auto& block = toc.blocks.emplace_back();
        for (const auto number : numbers) {
            block.chunks.push_back(chunk(number));
        }
    }
    return toc;
}

constexpr std::uint64_t mib = 1024ULL * 1024;

} // namespace

TEST_CASE("arrange: alike files share a block, large ones stand alone, the index is first",
          "[arrange]") {
    const std::vector<Arrangeable> chunks{
        {"b/x.js", 100},  {"z.css", 100},    {"a/y.js", 100},
        {"big", 2 * mib}, {"", 50, 0, true}, {"c/x.js", 100},
    };
    using Groups = std::vector<std::vector<std::size_t>>;
    CHECK(arrange(chunks, {}) == Groups{{4}, {1, 0, 5, 2}, {3}});
}

TEST_CASE("arrange: groups end at their limits and at the border of cohorts", "[arrange]") {
    std::vector<Arrangeable> chunks(10, {"x", mib});
    CHECK(arrange(chunks, {}).size() == 3);
    chunks[0].cohort = 1;
    CHECK(arrange(chunks, {}).size() == 4);
    std::vector<Arrangeable> based(4, {"x", 10, 8 * mib});
    CHECK(arrange(based, {patch_group_bytes, 16 * mib}).size() == 2);
}

TEST_CASE("base cover: packs that hold more are preferred, what none holds is missing", "[cover]") {
    const auto small = pack({{1}, {2}});
    const auto large = pack({{1, 2, 3}});
    const std::vector<const PackToc*> packs{&small, &large};
    const std::vector<ChunkRef> needed{chunk(1), chunk(2), chunk(3), chunk(4)};
    const auto cover = cover_by_packs(needed, packs);
    CHECK(cover.packs == std::vector<std::size_t>{1});
    CHECK(cover.missing == std::vector<std::size_t>{3});
    CHECK_FALSE(cover.should_repack());
}

TEST_CASE("base cover: dead content and many packs ask for a repack", "[cover]") {
    const auto solid = pack({{1, 2, 3, 4}});
    const std::vector<const PackToc*> packs{&solid};
    const std::vector<ChunkRef> needed{chunk(1), chunk(2)};
    CHECK(cover_by_packs(needed, packs).should_repack());

    std::vector<PackToc> many;
    std::vector<ChunkRef> all;
    for (std::uint8_t i = 0; i < 25; ++i) {
        many.push_back(pack({{i}}));
        all.push_back(chunk(i));
    }
    std::vector<const PackToc*> pointers;
    for (const auto& toc : many) {
        pointers.push_back(&toc);
    }
    CHECK(cover_by_packs(all, pointers).should_repack());
}

TEST_CASE("predecessors: by path, by stem, by content, by name", "[predecessor]") {
    const std::vector<Kin> fresh{
        {"same", 1}, {"js/main.b81e77f2.js", 10}, {"moved/here", 5}, {"lib-2/x/index.d.ts", 5}};
    const std::vector<std::string_view> all_new{"js/main.b81e77f2.js", "kept", "lib-2/x/index.d.ts",
                                                "moved/here", "same"};
    const std::vector<Kin> old{{"js/main.3f2a9c01.js", 12}, {"kept", 1}, {"lib-1/x/index.d.ts", 5},
                               {"lib-1/y/index.d.ts", 5},   {"same", 1}, {"there", 5}};
    Predecessors predecessors(fresh, all_new, old);
    CHECK(predecessors.matches()[0] == 4);
    CHECK(predecessors.matches()[1] == 0);
    REQUIRE(predecessors.unmatched() == std::vector<std::size_t>{2, 3});
    REQUIRE(predecessors.gone() == std::vector<std::size_t>{2, 3, 5});
    predecessors.match_by_likeness({Sketch{{1, 2, 3, 4}}, Sketch{{}}},
                                   {Sketch{{}}, Sketch{{8}}, Sketch{{1, 2, 3, 5}}});
    CHECK(predecessors.matches()[2] == 5);
    predecessors.match_by_base_name();
    CHECK(predecessors.matches()[3] == 2); // The one with the longer common end.
}

TEST_CASE("piece_rounded: whole pieces, each once, the last one as long as it is", "[differ]") {
    constexpr std::uint64_t piece = 16ULL * 1024;
    constexpr auto pack_bytes = 10 * piece + 5;
    CHECK(piece_rounded(pack_bytes, {}) == 0);
    CHECK(piece_rounded(pack_bytes, {{0, 1}}) == piece);
    CHECK(piece_rounded(pack_bytes, {{piece - 1, 2}}) == 2 * piece);
    CHECK(piece_rounded(pack_bytes, {{5, 1}, {0, 1}, {piece + 1, 1}}) == 2 * piece);
    CHECK(piece_rounded(pack_bytes, {{10 * piece, 5}}) == 5);
}

TEST_CASE("layout: targets name their artifact, keys stand beside the repository", "[layout]") {
    const ArtifactId id{"web/front", "1.0"};
    CHECK(layout::artifact_of_manifest_target(layout::manifest_target(id)) == id);
    CHECK_FALSE(layout::artifact_of_manifest_target(layout::pack_map_target(id)));
    CHECK_FALSE(layout::artifact_of_manifest_target("../1/manifest.json"));
    CHECK(layout::default_keys("/srv/repo/") == "/srv/repo.keys");
    const TargetCustom custom{ArtifactKind::config, 7, "2026-01-02T03:04:05Z"};
    const auto again = decode_custom(encode_custom(custom));
    REQUIRE(again);
    CHECK(again->sequence == 7);
    CHECK(again->kind == ArtifactKind::config);
    CHECK_FALSE(decode_custom("{}"));
    CHECK_FALSE(decode_custom(R"({"kind":"code","sequence":-1,"published":""})"));
}

TEST_CASE("ordered work: results are taken in order, within the memory", "[ordered]") {
    std::atomic<std::uint64_t> in_use{0};
    std::atomic<std::uint64_t> peak{0};
    std::vector<std::size_t> taken;
    OrderedWork<std::size_t> order;
    order.count = 500;
    order.workers = 4;
    order.memory_bytes_max = 10;
    order.memory = [](std::size_t i) { return i % 7 + 1 + (i == 100 ? 50 : 0); };
    order.work = [&](std::size_t i) -> Result<std::size_t> {
        const auto own = i == 100 ? 0 : order.memory(i);
        const auto now = in_use += own;
        for (auto seen = peak.load(); seen < now && !peak.compare_exchange_weak(seen, now);) {
        }
        in_use -= own;
        return i;
    };
    order.held = [](std::size_t) { return std::uint64_t{1}; };
    order.take = [&](std::size_t i, std::size_t value) -> Result<> {
        CHECK(i == value);
        taken.push_back(i);
        return {};
    };
    REQUIRE(run_in_order(order, {}));
    CHECK(taken.size() == 500);
    CHECK(std::ranges::is_sorted(taken));
    CHECK(peak <= 10);
}

TEST_CASE("ordered work: the first failure ends it and is given", "[ordered]") {
    OrderedWork<int> order;
    order.count = 100;
    order.workers = 3;
    order.memory_bytes_max = 3;
    order.memory = [](std::size_t) { return std::uint64_t{1}; };
    order.held = [](int) { return std::uint64_t{0}; };
    order.take = [](std::size_t, int) { return Result<>{}; };
    order.work = [](std::size_t i) -> Result<int> {
        return i == 40 ? Result<int>(fail(Errc::failed, "forty")) : Result<int>(0);
    };
    const auto done = run_in_order(order, {});
    REQUIRE_FALSE(done);
    CHECK(done.error().context == "forty");
    std::stop_source stop;
    stop.request_stop();
    CHECK(run_in_order(order, stop.get_token()).error().code == Errc::cancelled);
}

} // namespace slipway
