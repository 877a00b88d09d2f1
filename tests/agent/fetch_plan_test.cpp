#include "agent/core/fetch_plan.h"

#include <catch2/catch.hpp>
#include <rapidcheck.h>

namespace slipway::agent {
namespace {

ChunkRef chunk(std::uint8_t name, std::uint64_t bytes = 100) {
    ChunkRef ref;
    ref.key.bytes[0] = name;
    ref.bytes = bytes;
    return ref;
}
Block block(std::uint64_t offset, std::vector<ChunkRef> bases, std::vector<ChunkRef> chunks) {
    return {offset, 50, Codec::zstd, std::move(bases), std::move(chunks)};
}
using Ranges = std::vector<Range>;

} // namespace

TEST_CASE("merged: overlapping and touching ranges become one", "[fetch_plan]") {
    CHECK(merged({{10, 5}, {0, 10}, {12, 1}, {20, 0}, {30, 1}}) == Ranges{{0, 15}, {30, 1}});
}

TEST_CASE("merged: covers exactly the bytes that its ranges cover", "[fetch_plan]") {
    CHECK(rc::check([](const std::vector<std::pair<std::uint8_t, std::uint8_t>>& input) {
        Ranges ranges;
        std::vector<bool> covered(600);
        for (const auto& [offset, bytes] : input) {
            ranges.push_back({offset, bytes});
            std::fill_n(covered.begin() + offset, bytes, true);
        }
        std::vector<bool> after(600);
        std::uint64_t last = 0;
        for (const auto& range : merged(ranges)) {
            RC_ASSERT(range.bytes > 0U);
            RC_ASSERT(last == 0 || range.offset > last);
            last = range.offset + range.bytes;
            std::fill_n(after.begin() + static_cast<std::ptrdiff_t>(range.offset), range.bytes,
                        true);
        }
        RC_ASSERT(after == covered);
    }));
}

TEST_CASE("rounded_to_pieces: whole pieces, but nothing beyond the end", "[fetch_plan]") {
    CHECK(rounded_to_pieces({{5, 1}, {95, 5}}, 10, 97) == Ranges{{0, 10}, {90, 7}});
}

TEST_CASE("decode_waves: a base is decoded in an earlier wave than what needs it", "[fetch_plan]") {
    const PackToc first{{block(8, {}, {chunk(1)}), block(58, {chunk(1)}, {chunk(2)})}};
    const PackToc second{{block(8, {chunk(2), chunk(9)}, {chunk(3)}), block(58, {}, {chunk(4)})}};
    const std::vector<const PackToc*> packs{&first, &second};
    const Plan plan{{{1, 1}, {0, 0}, {0, 1}, {1, 0}}, 200};
    const auto waves = decode_waves(plan, packs);
    REQUIRE(waves.size() == 3);
    CHECK(waves[0] == std::vector<PlannedBlock>{{0, 0}, {1, 1}});
    CHECK(waves[1] == std::vector<PlannedBlock>{{0, 1}});
    CHECK(waves[2] == std::vector<PlannedBlock>{{1, 0}});
    CHECK(ranges_of(plan, packs) == std::vector<Ranges>{{{8, 100}}, {{8, 100}}});
    std::unordered_set<ChunkKey> tree{chunk(3).key, chunk(4).key};
    CHECK(scratch_bytes(plan, packs, tree) == 200); // 1 and 2; 9 was there before.
    tree.insert(chunk(2).key);
    CHECK(scratch_bytes(plan, packs, tree) == 100);
}

} // namespace slipway::agent
