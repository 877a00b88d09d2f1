#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/result.h"
#include "common/core/sha256.h"
#include "common/delta/codec.h"

namespace slipway {

/// First half of a chunk's SHA-256: enough to find a chunk by. What is found is verified against
/// the whole digest in the file index.
struct ChunkKey {
    std::array<std::uint8_t, 16> bytes{};
    auto operator<=>(const ChunkKey&) const = default;
    [[nodiscard]] static ChunkKey of(const Sha256Digest& digest) {
        ChunkKey key;
        std::memcpy(key.bytes.data(), digest.bytes.data(), key.bytes.size());
        return key;
    }
};

struct ChunkRef {
    ChunkKey key;
    std::uint64_t bytes = 0; ///< Length of the chunk, chunk_bytes_max at most.
    bool operator==(const ChunkRef&) const = default;
};

/// A run of bytes in a pack that decodes to one or more chunks, one after the other, given its
/// bases, one after the other. Without bases it is a full encoding, else a patch.
struct Block {
    std::uint64_t offset = 0; ///< In the pack.
    std::uint64_t encoded_bytes = 0;
    Codec codec = Codec::stored;
    std::vector<ChunkRef> bases;
    std::vector<ChunkRef> chunks;
    bool operator==(const Block&) const = default;

    [[nodiscard]] bool is_full() const { return bases.empty(); }
    [[nodiscard]] std::uint64_t raw_bytes() const;  ///< Sum of the chunks' lengths.
    [[nodiscard]] std::uint64_t base_bytes() const; ///< Sum of the bases' lengths.
};

/// Limits of a block, checked before memory is taken: one chunk of any length, or several that are
/// together no longer than solid_block_bytes_max; bases of block_base_bytes_max in total.
inline constexpr std::uint64_t solid_block_bytes_max = 16ULL * 1024 * 1024;
inline constexpr std::uint64_t block_base_bytes_max = 128ULL * 1024 * 1024;
inline constexpr std::size_t block_chunks_max =
    std::size_t{64} * 1024; ///< Chunks, and also bases, of a block.

/// Table of contents of one pack; stands at its end (docs/format.md), where a PackMap says.
struct PackToc {
    std::vector<Block> blocks; ///< By offset; they do not overlap.
};

/// Every pack begins with these 8 bytes.
inline constexpr std::string_view pack_magic = "SLIPPAK1";

/// Compressed form as it stands in the pack. Blocks over the limits are bugs: it asserts.
[[nodiscard]] Bytes encode_toc(const PackToc& toc);
/// `toc_offset`: where `encoded` stands; every block must end before it. Errors:
/// Errc::verification_failed, naming `what`; so is a codec that this program does not know.
[[nodiscard]] Result<PackToc> decode_toc(ByteSpan encoded, std::uint64_t toc_offset,
                                         std::string_view what);
/// About three million chunks a pack.
inline constexpr std::uint64_t toc_encoded_bytes_max = 64ULL * 1024 * 1024;

/// Address of a pack: BEP 52 pieces root and length of the file.
struct PackId {
    Sha256Digest root;
    std::uint64_t bytes = 0;
    auto operator<=>(const PackId&) const = default;
    /// File name in repositories and on hosts: the root in hexadecimal.
    [[nodiscard]] std::string name() const { return root.hex(); }
};

enum class PackRole : std::uint8_t {
    base = 1,  ///< Full encodings.
    patch = 2, ///< Encodings against the chunks of one older artifact.
};

struct PackEntry {
    PackId id;
    std::uint64_t toc_offset = 0;
    std::uint64_t toc_bytes = 0;
    PackRole role = PackRole::base;
    Sha256Digest
        from; ///< Of a patch pack: digest of the manifest whose chunks are its bases; else zero.
    Sha256Digest to;          ///< Digest of the manifest that the pack was made for.
    std::string from_version; ///< For people; empty in a base pack.
    std::string to_version;
    bool operator==(const PackEntry&) const = default;
};

/// Where an artifact's chunks, its index among them, are. A TUF target; changes when the
/// repository is repacked. Lists the packs that together hold every chunk in full, the patch packs
/// that lead to this artifact, and the patch packs that lead to the bases of those (chains).
struct PackMap {
    Sha256Digest manifest;
    std::vector<PackEntry> packs; ///< Base packs first; no pack twice.
    bool operator==(const PackMap&) const = default;
};
inline constexpr std::size_t pack_map_packs_max = 1024;
inline constexpr std::size_t pack_map_bytes_max = std::size_t{512} * 1024;

[[nodiscard]] Bytes encode_pack_map(const PackMap& map);
[[nodiscard]] Result<PackMap> decode_pack_map(ByteSpan bytes, std::string_view what);

} // namespace slipway

template <>
struct std::hash<slipway::ChunkKey> {
    std::size_t operator()(const slipway::ChunkKey& key) const noexcept {
        std::size_t value = 0;
        std::memcpy(&value, key.bytes.data(), sizeof value);
        return value;
    }
};
