#include "common/core/merkle.h"

#include <catch2/catch.hpp>

namespace slipway {
namespace {

PiecesRoot tree_of(std::uint64_t bytes, std::size_t step) {
    MerkleBuilder builder;
    const Bytes data(step, 0x5a);
    for (std::uint64_t done = 0; done < bytes;) {
        const auto now = std::min<std::uint64_t>(step, bytes - done);
        builder.update(ByteSpan(data).first(now));
        done += now;
    }
    return builder.finish();
}

} // namespace

TEST_CASE("MerkleBuilder: one block's root is its digest", "[merkle]") {
    const Bytes data(100, 0x5a);
    const auto tree = tree_of(100, 100);
    CHECK(tree.root == sha256(data));
    CHECK(tree.piece_layer == std::vector{tree.root});
}

TEST_CASE("MerkleBuilder: how the bytes arrive does not matter", "[merkle]") {
    for (const std::uint64_t bytes : {16384ULL, 16385ULL, 9ULL << 20U, (9ULL << 20U) + 1}) {
        CAPTURE(bytes);
        const auto whole = tree_of(bytes, 1U << 20U);
        const auto pieces = tree_of(bytes, 5000);
        CHECK(whole.root == pieces.root);
        CHECK(whole.piece_layer == pieces.piece_layer);
        if (whole.piece_layer.size() > 1) {
            CHECK(piece_layer_matches(whole.piece_layer, piece_bytes_for(bytes), whole.root));
        }
    }
}

} // namespace slipway
