#include "common/repository/block_decode.h"

#include <algorithm>
#include <cassert>
#include <mutex>
#include <numeric>

#include <fcntl.h>

#include "common/core/errc.h"
#include "common/core/sha256.h"
#include "common/delta/codec.h"

namespace slipway {
namespace fs = std::filesystem;
namespace {

std::uint64_t total_bytes(std::span<const ChunkRef> chunks) {
    return std::accumulate(chunks.begin(), chunks.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const ChunkRef& c) { return sum + c.bytes; });
}

Result<ChunkBytes> map_range(const fs::path& path, std::uint64_t offset, std::uint64_t bytes) {
    return open_range(path, offset, bytes)
        .and_then(
            [&](const Fd& fd) { return MappedFile::map(fd.get(), offset, bytes, false, path); })
        .map([](MappedFile mapped) { return ChunkBytes(std::move(mapped)); });
}

} // namespace

std::uint32_t ChunkPlaces::add_file(fs::path path) {
    const std::unique_lock lock(mutex_);
    files_.push_back(std::move(path));
    return static_cast<std::uint32_t>(files_.size() - 1);
}

void ChunkPlaces::add(const ChunkRef& chunk, std::uint32_t file, std::uint64_t offset) {
    const std::unique_lock lock(mutex_);
    assert(file < files_.size());
    places_.try_emplace(chunk.key, Place{file, offset});
}

bool ChunkPlaces::has(const ChunkKey& key) const {
    const std::shared_lock lock(mutex_);
    return places_.contains(key);
}

Result<ChunkPlaces::Gathering> ChunkPlaces::find(std::span<const ChunkRef> chunks) const {
    assert(total_bytes(chunks) <= block_base_bytes_max);
    const std::shared_lock lock(mutex_);
    Gathering found;
    for (const auto& chunk : chunks) {
        const auto place = places_.find(chunk.key);
        if (place == places_.end()) {
            return fail(Errc::not_found,
                        "chunk " + to_hex(chunk.key.bytes) + "... is not at hand as a base");
        }
        found.places.push_back(place->second);
        found.paths.push_back(files_[place->second.file]);
    }
    for (std::size_t i = 1; i < chunks.size(); ++i) {
        const auto& before = found.places[i - 1];
        found.is_one_run = found.is_one_run && found.places[i].file == before.file &&
                           found.places[i].offset == before.offset + chunks[i - 1].bytes;
    }
    return found;
}

Result<> ChunkPlaces::copy(std::span<const ChunkRef> chunks, const Gathering& found,
                           std::span<std::uint8_t> out) {
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        const auto& path = found.paths[i];
        auto read = open_file(path, O_RDONLY | O_NOFOLLOW).and_then([&](const Fd& fd) {
            return pread_all(fd.get(), out.first(chunks[i].bytes), found.places[i].offset, path);
        });
        if (!read) {
            return read;
        }
        out = out.subspan(chunks[i].bytes);
    }
    return {};
}

Result<ChunkBytes> ChunkPlaces::gather(std::span<const ChunkRef> chunks) const {
    if (chunks.empty()) {
        return ChunkBytes();
    }
    return find(chunks).and_then([&](const Gathering& found) -> Result<ChunkBytes> {
        if (found.is_one_run) {
            return map_range(found.paths.front(), found.places.front().offset, total_bytes(chunks));
        }
        Bytes all(total_bytes(chunks));
        return copy(chunks, found, all).map([&] { return ChunkBytes(std::move(all)); });
    });
}

Result<PatchRoom> ChunkPlaces::gather_before(std::span<const ChunkRef> chunks,
                                             std::uint64_t raw_bytes) const {
    return find(chunks).and_then([&](const Gathering& found) {
        const auto base_bytes = total_bytes(chunks);
        if (found.is_one_run && !chunks.empty()) {
            return PatchRoom::behind_file(found.paths.front(), found.places.front().offset,
                                          base_bytes, raw_bytes);
        }
        PatchRoom room(base_bytes, raw_bytes);
        return copy(chunks, found, room.base_room()).map([&] { return std::move(room); });
    });
}

bool is_chunk(const ChunkRef& chunk, ByteSpan bytes) {
    return bytes.size() == chunk.bytes && ChunkKey::of(sha256(bytes)) == chunk.key;
}

Result<> decode_block_into(const Block& block, ByteSpan encoded, const ChunkPlaces& bases,
                           std::span<std::uint8_t> out) {
    assert(out.size() == block.raw_bytes() && encoded.size() == block.encoded_bytes);
    return bases.gather(block.bases).and_then([&](const ChunkBytes& base) {
        return decode_block(block.codec, encoded, base.bytes(), out);
    });
}

Result<> for_each_chunk(const Block& block, ByteSpan raw,
                        const std::function<Result<>(const ChunkRef&, ByteSpan)>& visit) {
    for (const auto& chunk : block.chunks) {
        if (auto visited = visit(chunk, raw.first(chunk.bytes)); !visited) {
            return visited;
        }
        raw = raw.subspan(chunk.bytes);
    }
    return {};
}

} // namespace slipway
