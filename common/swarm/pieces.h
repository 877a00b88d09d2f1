#pragma once

#include <filesystem>
#include <stop_token>
#include <vector>

#include "common/core/merkle.h"
#include "common/format/pack.h"

namespace slipway::swarm {

/// How a pack is cut into pieces (BEP 52). All offsets are below 2^63: packs come from metainfo
/// that verify_metainfo() passed.
struct PieceGrid {
    explicit PieceGrid(const PackId& pack)
        : pack_bytes(pack.bytes), piece_bytes(piece_bytes_for(pack.bytes)) {}
    std::uint64_t pack_bytes;
    std::uint32_t piece_bytes;

    [[nodiscard]] std::size_t count() const {
        return static_cast<std::size_t>((pack_bytes + piece_bytes - 1) / piece_bytes);
    }
    [[nodiscard]] std::uint64_t offset(std::size_t piece) const {
        return std::uint64_t{piece} * piece_bytes;
    }
    /// Length of a piece; the last one may be shorter.
    [[nodiscard]] std::uint64_t bytes(std::size_t piece) const {
        return std::min<std::uint64_t>(piece_bytes, pack_bytes - offset(piece));
    }
};

/// The digest that the piece layer must hold for a piece with these bytes.
[[nodiscard]] Sha256Digest piece_digest(ByteSpan piece, const PieceGrid& grid);

/// Opens `file` of a pack, creating it or giving it the pack's length as a sparse file where
/// needed, and finds the pieces that are already there and verify against `layer`. Only extents
/// that hold data are read, on all cores. Errors: those of the file; Errc::cancelled.
[[nodiscard]] Result<std::vector<bool>> take_stock(const std::filesystem::path& file,
                                                   const PackId& pack,
                                                   const std::vector<Sha256Digest>& layer,
                                                   std::stop_token stop);

} // namespace slipway::swarm
