#include "common/swarm/pieces.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "tests/fakes/sample_pack.h"

namespace slipway::swarm {
namespace {

constexpr std::uint64_t mib = 1024 * 1024;

} // namespace

TEST_CASE("piece_digest: agrees with the piece layer, to the last short piece", "[pieces]") {
    for (const std::uint64_t bytes :
         {std::uint64_t{1}, std::uint64_t{16384}, std::uint64_t{50000}, 9 * mib, 9 * mib + 17}) {
        CAPTURE(bytes);
        const fakes::SamplePack pack(bytes);
        const PieceGrid grid(pack.id);
        REQUIRE(grid.count() == pack.tree.piece_layer.size());
        for (std::size_t piece = 0; piece < grid.count(); ++piece) {
            const auto data = ByteSpan(pack.data).subspan(grid.offset(piece), grid.bytes(piece));
            REQUIRE(piece_digest(data, grid) == pack.tree.piece_layer[piece]);
        }
    }
}

TEST_CASE("take_stock: a new file is sparse, at full length, and has nothing", "[pieces]") {
    const fakes::TemporaryDirectory directory;
    const fakes::SamplePack pack(9 * mib);
    const auto file = directory.path() / "pack";
    const auto have = take_stock(file, pack.id, pack.tree.piece_layer, {});
    REQUIRE(have);
    CHECK(*have == std::vector<bool>(pack.tree.piece_layer.size()));
    CHECK(std::filesystem::file_size(file) == pack.id.bytes);
}

TEST_CASE("take_stock: finds whole right pieces and not the wrong or missing ones", "[pieces]") {
    const fakes::TemporaryDirectory directory;
    const fakes::SamplePack pack(9 * mib + 17);
    const PieceGrid grid(pack.id);
    auto damaged = pack.data;
    damaged[grid.offset(3) + 5] ^= 1U;
    damaged.resize(grid.offset(100) + 10); // As a write that was broken off.
    const auto file = directory.path() / "pack";
    fakes::write_whole(file, damaged);
    const auto have = take_stock(file, pack.id, pack.tree.piece_layer, {});
    REQUIRE(have);
    for (std::size_t piece = 0; piece < grid.count(); ++piece) {
        CAPTURE(piece);
        CHECK((*have)[piece] == (piece != 3 && piece < 100));
    }
    CHECK(std::filesystem::file_size(file) == pack.id.bytes);
}

TEST_CASE("take_stock: a symlink in the pack's place is refused", "[pieces]") {
    const fakes::TemporaryDirectory directory;
    const fakes::SamplePack pack(1000);
    const auto victim = directory.path() / "victim";
    fakes::write_whole(victim, pack.data);
    std::filesystem::create_symlink(victim, directory.path() / "pack");
    CHECK_FALSE(take_stock(directory.path() / "pack", pack.id, pack.tree.piece_layer, {}));
}

} // namespace slipway::swarm
