#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <shared_mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/result.h"
#include "common/format/pack.h"
#include "common/io/file_ops.h"
#include "common/repository/patch_room.h"

namespace slipway {

/// Bytes that are owned or mapped; valid as long as this object.
class ChunkBytes {
public:
    ChunkBytes() = default;
    explicit ChunkBytes(Bytes owned) : owned_(std::move(owned)) {}
    explicit ChunkBytes(MappedFile mapped) : mapped_(std::move(mapped)) {}
    [[nodiscard]] ByteSpan bytes() const {
        return owned_.empty() ? mapped_.bytes() : ByteSpan(owned_);
    }

private:
    Bytes owned_;
    MappedFile mapped_;
};

/// Where chunks are in files: what patches are decoded (and made) against. Thread-safe.
///
/// The files must not shrink while they are read: they are mapped. Installed releases (read-only)
/// and the temporary files of this process are such files.
class ChunkPlaces {
public:
    /// A file that chunks are in; gives its number. It is opened anew for each gather().
    [[nodiscard]] std::uint32_t add_file(std::filesystem::path path);
    /// `chunk` is in file number `file` at byte `offset`. The first place of a chunk counts.
    void add(const ChunkRef& chunk, std::uint32_t file, std::uint64_t offset);
    [[nodiscard]] bool has(const ChunkKey& key) const;

    /// The chunks' bytes, one after the other: mapped when they are so in one file, else copied.
    /// `chunks` are block_base_bytes_max together at most. The content is not checked: a wrong base
    /// gives a wrong chunk, which is_chunk() finds.
    /// Errors: Errc::not_found for a chunk without a place; Errc::verification_failed for a file
    /// that is too short.
    [[nodiscard]] Result<ChunkBytes> gather(std::span<const ChunkRef> chunks) const;
    /// The same, with room for `raw_bytes` right behind them.
    [[nodiscard]] Result<PatchRoom> gather_before(std::span<const ChunkRef> chunks,
                                                  std::uint64_t raw_bytes) const;

private:
    struct Place {
        std::uint32_t file = 0;
        std::uint64_t offset = 0;
    };
    /// Chunks in the order asked for, each in its file.
    struct Gathering {
        std::vector<Place> places;
        std::vector<std::filesystem::path> paths;
        bool is_one_run = true; ///< One after the other in one file.
    };
    [[nodiscard]] Result<Gathering> find(std::span<const ChunkRef> chunks) const;
    [[nodiscard]] static Result<> copy(std::span<const ChunkRef> chunks, const Gathering& found,
                                       std::span<std::uint8_t> out);

    mutable std::shared_mutex mutex_;
    std::vector<std::filesystem::path> files_;
    std::unordered_map<ChunkKey, Place> places_;
};

/// True if `bytes` has the length and the digest that `chunk` names.
[[nodiscard]] bool is_chunk(const ChunkRef& chunk, ByteSpan bytes);

/// Decodes `block`, whose bytes in the pack are `encoded`, into `out` (block.raw_bytes() long; may
/// be a mapped file). Bases are looked up in `bases`. Checks lengths and the codec's own format,
/// not the chunks' digests. Errors: Errc::verification_failed, or those of gather().
[[nodiscard]] Result<> decode_block_into(const Block& block, ByteSpan encoded,
                                         const ChunkPlaces& bases, std::span<std::uint8_t> out);

/// Calls `visit` with each chunk of a block and its bytes in `raw`; stops at its first error.
[[nodiscard]] Result<>
for_each_chunk(const Block& block, ByteSpan raw,
               const std::function<Result<>(const ChunkRef&, ByteSpan)>& visit);

} // namespace slipway
