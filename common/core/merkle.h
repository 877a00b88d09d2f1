#pragma once

#include <cstdint>
#include <vector>

#include "common/core/sha256.h"

namespace slipway {

/// BEP 52's unit of hashing: leaves of the merkle tree are SHA-256 digests of 16 KiB blocks.
inline constexpr std::uint64_t merkle_leaf_bytes = 16ULL * 1024;

/// Root of BEP 52's binary merkle tree: `layer` padded to a power of two with `pad`.
/// `layer` must not be empty.
[[nodiscard]] Sha256Digest merkle_root(std::vector<Sha256Digest> layer, Sha256Digest pad);

/// A pack's address and what its metainfo needs, computed while the pack is written.
struct PiecesRoot {
    Sha256Digest root;
    std::uint64_t bytes = 0; ///< Length of the file.
    std::vector<Sha256Digest>
        piece_layer; ///< One digest a piece; one entry (the root) if the file fits a piece.
};

/// Piece length in bytes of the swarm of a pack of `pack_bytes`. Part of the format: it enters the
/// info-hash, so every publisher and agent must use the same. Small packs get small pieces because
/// an agent fetches whole pieces and an upgrade may need a few KiB; large packs get large ones so
/// that the piece layer stays below 1/500 of the pack.
[[nodiscard]] std::uint32_t piece_bytes_for(std::uint64_t pack_bytes);

/// Collects 16 KiB leaf digests of a file from its first byte to its last. Not thread-safe.
class MerkleBuilder {
public:
    void update(ByteSpan bytes);
    /// The tree of all bytes given, for pieces of piece_bytes_for(length). No bytes at all: an
    /// empty pack does not exist, so this asserts.
    [[nodiscard]] PiecesRoot finish();

private:
    Sha256 hash_;
    std::uint64_t bytes_ = 0;
    std::vector<Sha256Digest> leaves_;
};

/// True if `layer`, padded as BEP 52 says for pieces of `piece_bytes`, has the root `root`.
[[nodiscard]] bool piece_layer_matches(const std::vector<Sha256Digest>& layer,
                                       std::uint32_t piece_bytes, const Sha256Digest& root);

} // namespace slipway
