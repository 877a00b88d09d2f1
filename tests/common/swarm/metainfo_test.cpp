#include "common/swarm/metainfo.h"

#include <catch2/catch.hpp>
#include <libtorrent/create_torrent.hpp>
#include <libtorrent/load_torrent.hpp>
#include <libtorrent/torrent_info.hpp>

#include "common/core/errc.h"

namespace slipway::swarm {
namespace {

Bytes pattern(std::uint64_t bytes) {
    Bytes data(bytes);
    std::uint32_t state = 1;
    for (auto& byte : data) {
        state = state * 1664525U + 1013904223U;
        byte = static_cast<std::uint8_t>(state >> 24U);
    }
    return data;
}

PiecesRoot tree_of(ByteSpan data) {
    MerkleBuilder builder;
    builder.update(data);
    return builder.finish();
}

// What libtorrent's own creator writes for the same file.
std::vector<char> libtorrent_metainfo(const PiecesRoot& pack) {
    lt::file_storage files;
    files.add_file(pack.root.hex(), static_cast<std::int64_t>(pack.bytes));
    const auto flags = lt::create_torrent::v2_only | lt::create_torrent::no_attributes;
    lt::create_torrent creator(files, static_cast<int>(piece_bytes_for(pack.bytes)), flags);
    creator.set_creation_date(0);
    creator.set_priv(true);
    for (std::size_t i = 0; i < pack.piece_layer.size(); ++i) {
        creator.set_hash2(
            lt::file_index_t{0}, lt::piece_index_t::diff_type{static_cast<int>(i)},
            lt::sha256_hash(reinterpret_cast<const char*>(pack.piece_layer[i].bytes.data())));
    }
    return creator.generate_buf();
}

} // namespace

TEST_CASE("make_metainfo: libtorrent's creator writes the same bytes", "[metainfo]") {
    const std::uint64_t mib = 1024 * 1024;
    for (const std::uint64_t bytes : {std::uint64_t{1}, std::uint64_t{16384}, std::uint64_t{16385},
                                      std::uint64_t{100000}, 8 * mib, 8 * mib + 1, 9 * mib}) {
        CAPTURE(bytes);
        const auto tree = tree_of(pattern(bytes));
        const auto ours = make_metainfo(tree);
        const auto theirs = libtorrent_metainfo(tree);
        CHECK(as_text(ours) == std::string_view(theirs.data(), theirs.size()));
        CHECK(ours.size() == metainfo_bytes_max(bytes));
    }
}

TEST_CASE("make_metainfo: a BitTorrent v2 client loads it as one private file", "[metainfo]") {
    const auto tree = tree_of(pattern(9ULL << 20U));
    const auto metainfo = make_metainfo(tree);
    const lt::torrent_info info(
        lt::span<const char>(as_text(metainfo).data(), std::ptrdiff_t(metainfo.size())),
        lt::from_span);
    CHECK(info.is_valid());
    CHECK(info.v2());
    CHECK_FALSE(info.v1());
    CHECK(info.priv());
    CHECK(info.num_files() == 1);
    CHECK(info.total_size() == 9 << 20);
    CHECK(info.files().root(lt::file_index_t{0}) ==
          lt::sha256_hash(reinterpret_cast<const char*>(tree.root.bytes.data())));
}

TEST_CASE("verify_metainfo: gives the piece layer of honest metainfo", "[metainfo]") {
    for (const std::uint64_t bytes : {1ULL, 16384ULL, 70000ULL}) {
        const auto tree = tree_of(pattern(bytes));
        const auto layer = verify_metainfo(make_metainfo(tree), {tree.root, bytes}, "test");
        REQUIRE(layer);
        CHECK(*layer == tree.piece_layer);
    }
}

TEST_CASE("verify_metainfo: refuses every flipped byte, truncation and extension", "[metainfo]") {
    const auto tree = tree_of(pattern(70000));
    const PackId id{tree.root, tree.bytes};
    const auto good = make_metainfo(tree);
    for (std::size_t i = 0; i < good.size(); ++i) {
        for (const auto bit : {0x01U, 0x80U}) {
            auto bad = good;
            bad[i] = static_cast<std::uint8_t>(bad[i] ^ bit);
            const auto result = verify_metainfo(bad, id, "pack.torrent");
            REQUIRE_FALSE(result);
            REQUIRE(result.error().code == Errc::verification_failed);
            REQUIRE(result.error().context.find("pack.torrent") != std::string::npos);
        }
        REQUIRE_FALSE(verify_metainfo(ByteSpan(good).first(i), id, "pack.torrent"));
    }
    auto longer = good;
    longer.push_back('e');
    CHECK_FALSE(verify_metainfo(longer, id, "pack.torrent"));
}

TEST_CASE("verify_metainfo: metainfo of another pack or length is refused", "[metainfo]") {
    const auto tree = tree_of(pattern(70000));
    const auto good = make_metainfo(tree);
    CHECK_FALSE(verify_metainfo(good, {tree.root, tree.bytes - 1}, "test"));
    CHECK_FALSE(verify_metainfo(good, {sha256({}), tree.bytes}, "test"));
    CHECK_FALSE(verify_metainfo(good, {tree.root, 0}, "test"));
    CHECK_FALSE(verify_metainfo(good, {tree.root, ~std::uint64_t{0}}, "test"));
}

} // namespace slipway::swarm
