#include "agent/io/pack_files.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "common/swarm/pieces.h"
#include "tests/fakes/sample_pack.h"

namespace slipway::agent {
namespace {

struct Packs {
    fakes::TemporaryDirectory home;
    fakes::SamplePack sample{3'000'000};
    PackFile pack{sample.id, home.path() / "pack", sample.tree.piece_layer, sample.metainfo, {}};
    std::filesystem::path source = home.path() / "source";
    std::uint64_t piece = swarm::PieceGrid(sample.id).piece_bytes;
    Progress progress{ProgressStyle::none};
    std::vector<Range> wanted{{piece + 1, 1}, {2'900'000, 100'000}};

    Packs() { fakes::write_whole(source, sample.data); }
};

} // namespace

TEST_CASE("packs: only the pieces that were asked for are copied, and reserved first", "[packs]") {
    Packs packs;
    const auto missing = missing_ranges(packs.pack, packs.wanted, {});
    REQUIRE(missing);
    CHECK(missing->front() == Range{packs.piece, packs.piece});
    REQUIRE(reserve_ranges(packs.pack, *missing));
    CHECK(*missing_ranges(packs.pack, packs.wanted, {}) == *missing);
    REQUIRE(copy_ranges(packs.pack, packs.source, *missing, packs.progress, {}));
    CHECK(missing_ranges(packs.pack, packs.wanted, {})->empty());
    CHECK(missing_ranges(packs.pack, {{0, 1}}, {})->size() == 1);
    CHECK(std::filesystem::file_size(packs.pack.file) == packs.sample.data.size());
}

TEST_CASE("packs: what is on the disk counts only if it is right", "[packs]") {
    Packs packs;
    auto damaged = packs.sample.data;
    damaged[packs.piece + 5] ^= 1;
    fakes::write_whole(packs.pack.file, damaged);
    CHECK(*missing_ranges(packs.pack, {{0, damaged.size()}}, {}) ==
          std::vector<Range>{{packs.piece, packs.piece}});
    damaged.resize(packs.piece * 2 - 1);
    fakes::write_whole(packs.pack.file, damaged);
    packs.pack.verified.clear();
    CHECK(missing_ranges(packs.pack, {{0, 1}}, {})->empty());
    CHECK(missing_ranges(packs.pack, packs.wanted, {})->size() == 2);
}

TEST_CASE("packs: a repository with a bad piece is refused by name, and the piece not written",
          "[packs]") {
    Packs packs;
    auto damaged = packs.sample.data;
    damaged[packs.piece + 5] ^= 1;
    fakes::write_whole(packs.source, damaged);
    const auto missing = missing_ranges(packs.pack, packs.wanted, {});
    REQUIRE(missing);
    const auto copied = copy_ranges(packs.pack, packs.source, *missing, packs.progress, {});
    REQUIRE_FALSE(copied);
    CHECK(copied.error().code == Errc::verification_failed);
    CHECK(copied.error().context.find(packs.source.string()) == 0);
    packs.pack.verified.clear();
    CHECK_FALSE(missing_ranges(packs.pack, packs.wanted, {})->empty());
}

} // namespace slipway::agent
