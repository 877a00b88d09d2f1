#include "common/format/pack.h"

#include <algorithm>
#include <cassert>
#include <numeric>

#include <zstd.h>

#include "common/core/errc.h"
#include "common/format/index.h"

namespace slipway {
namespace {

constexpr std::string_view toc_magic = "SLIPTOC1";
constexpr std::uint64_t codec_name_bytes_max = 32;
constexpr std::uint64_t codecs_max = 16;
// Above the default: a table is written once and read by every host.
constexpr int toc_zstd_level = 9;

// A table of contents is mostly digests, which do not compress. A frame that claims to grow more
// than this is not one, so a small file cannot make a reader take much memory.
constexpr std::uint64_t raw_bytes_bound(std::uint64_t encoded_bytes) {
    return 4096 + 8 * encoded_bytes;
}

// Shortest form of a block: gap, length, codec, two counts, one chunk of a key and a length.
constexpr std::uint64_t block_wire_bytes_min = 5 + sizeof(ChunkKey) + 1;

std::uint64_t sum_of(const std::vector<ChunkRef>& refs) {
    return std::accumulate(refs.begin(), refs.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const ChunkRef& ref) { return sum + ref.bytes; });
}

bool is_within_limits(const Block& block) {
    const auto raw = block.raw_bytes();
    return !block.chunks.empty() && (block.chunks.size() == 1 || raw <= solid_block_bytes_max) &&
           block.base_bytes() <= block_base_bytes_max && block.encoded_bytes > 0;
}

void write_refs(ByteWriter& out, const std::vector<ChunkRef>& refs) {
    assert(refs.size() <= block_chunks_max);
    out.varint(refs.size());
    for (const auto& ref : refs) {
        assert(ref.bytes > 0 && ref.bytes <= chunk_bytes_max);
        out.raw(ref.key.bytes);
        out.varint(ref.bytes);
    }
}

Result<std::vector<ChunkRef>> read_refs(ByteReader& in, ByteSpan raw) {
    const auto count = in.varint(block_chunks_max, "a number of chunks");
    if (!count) {
        return tl::unexpected(count.error());
    }
    if (*count > (raw.size() - in.position()) / (sizeof(ChunkKey) + 1)) {
        return in.malformed("more chunks than bytes for them");
    }
    std::vector<ChunkRef> refs(*count);
    for (auto& ref : refs) {
        const auto key = in.raw(sizeof(ChunkKey), "a chunk key");
        const auto bytes = in.varint(chunk_bytes_max, "a chunk's length");
        if (!key || !bytes) {
            return tl::unexpected(key ? bytes.error() : key.error());
        }
        if (*bytes == 0) {
            return in.malformed("an empty chunk");
        }
        std::ranges::copy(*key, ref.key.bytes.begin());
        ref.bytes = *bytes;
    }
    return refs;
}

Result<std::vector<Codec>> read_codecs(ByteReader& in) {
    const auto count = in.varint(codecs_max, "the number of codecs");
    if (!count) {
        return tl::unexpected(count.error());
    }
    std::vector<Codec> codecs;
    for (std::uint64_t i = 0; i < *count; ++i) {
        const auto name =
            in.varint(codec_name_bytes_max, "a codec name's length").and_then([&](auto length) {
                return in.raw(length, "a codec name");
            });
        if (!name) {
            return tl::unexpected(name.error());
        }
        const auto codec = codec_by_name(as_text(*name));
        if (!codec) {
            return in.malformed("the codec '" + std::string(as_text(*name)) +
                                "' is not known to this version of Slipway; a newer one is needed");
        }
        codecs.push_back(*codec);
    }
    return codecs;
}

/// Reads one block that begins `gap` bytes after `end`, the end of the one before.
Result<Block> read_block(ByteReader& in, ByteSpan raw, const std::vector<Codec>& codecs,
                         std::uint64_t end, std::uint64_t toc_offset) {
    const auto gap = in.varint(toc_offset - end, "a gap between blocks");
    if (!gap) {
        return tl::unexpected(gap.error());
    }
    Block block;
    block.offset = end + *gap;
    const auto encoded = in.varint(toc_offset - block.offset, "a block's length");
    const auto codec = in.varint(codecs.empty() ? 0 : codecs.size() - 1, "a codec's number");
    if (!encoded || !codec) {
        return tl::unexpected(encoded ? codec.error() : encoded.error());
    }
    if (codecs.empty()) {
        return in.malformed("a block without a codec");
    }
    block.encoded_bytes = *encoded;
    block.codec = codecs[*codec];
    auto bases = read_refs(in, raw);
    if (!bases) {
        return tl::unexpected(bases.error());
    }
    auto chunks = read_refs(in, raw);
    if (!chunks) {
        return tl::unexpected(chunks.error());
    }
    block.bases = std::move(*bases);
    block.chunks = std::move(*chunks);
    if (!is_within_limits(block)) {
        return in.malformed("a block that is empty or over its limits");
    }
    return block;
}

Result<PackToc> parse_toc(ByteSpan raw, std::uint64_t toc_offset, std::string_view what) {
    ByteReader in(raw, std::string(what));
    const auto magic = in.raw(toc_magic.size(), "the magic");
    if (!magic || as_text(*magic) != toc_magic) {
        return in.malformed("not a table of contents of version 1");
    }
    const auto codecs = read_codecs(in);
    if (!codecs) {
        return tl::unexpected(codecs.error());
    }
    const auto count = in.varint(raw.size() / block_wire_bytes_min, "the number of blocks");
    if (!count) {
        return tl::unexpected(count.error());
    }
    PackToc toc;
    std::uint64_t end = pack_magic.size();
    for (std::uint64_t i = 0; i < *count; ++i) {
        auto block = read_block(in, raw, *codecs, end, toc_offset);
        if (!block) {
            return tl::unexpected(block.error());
        }
        end = block->offset + block->encoded_bytes;
        toc.blocks.push_back(std::move(*block));
    }
    if (!in.at_end()) {
        return in.malformed("bytes after the end");
    }
    return toc;
}

Bytes serialize(const PackToc& toc) {
    std::vector<Codec> codecs; // In order of first use.
    for (const auto& block : toc.blocks) {
        if (std::ranges::find(codecs, block.codec) == codecs.end()) {
            codecs.push_back(block.codec);
        }
    }
    Bytes raw;
    ByteWriter out(raw);
    out.raw(as_bytes(toc_magic));
    out.varint(codecs.size());
    for (const auto codec : codecs) {
        out.varint(to_string(codec).size());
        out.raw(as_bytes(to_string(codec)));
    }
    out.varint(toc.blocks.size());
    std::uint64_t end = pack_magic.size();
    for (const auto& block : toc.blocks) {
        assert(block.offset >= end && is_within_limits(block));
        out.varint(block.offset - end);
        out.varint(block.encoded_bytes);
        out.varint(
            static_cast<std::uint64_t>(std::ranges::find(codecs, block.codec) - codecs.begin()));
        write_refs(out, block.bases);
        write_refs(out, block.chunks);
        end = block.offset + block.encoded_bytes;
    }
    return raw;
}

} // namespace

std::uint64_t Block::raw_bytes() const {
    return sum_of(chunks);
}

std::uint64_t Block::base_bytes() const {
    return sum_of(bases);
}

Bytes encode_toc(const PackToc& toc) {
    const auto raw = serialize(toc);
    Bytes encoded(ZSTD_compressBound(raw.size()));
    const auto size =
        ZSTD_compress(encoded.data(), encoded.size(), raw.data(), raw.size(), toc_zstd_level);
    assert(ZSTD_isError(size) == 0);
    encoded.resize(size);
    return encoded;
}

Result<PackToc> decode_toc(ByteSpan encoded, std::uint64_t toc_offset, std::string_view what) {
    const auto bad = [&](std::string_view why) {
        return fail(Errc::verification_failed, std::string(what) + ": " + std::string(why));
    };
    if (encoded.size() > toc_encoded_bytes_max || toc_offset < pack_magic.size()) {
        return bad("the table of contents is too long, or stands where none can");
    }
    const auto raw_bytes = ZSTD_getFrameContentSize(encoded.data(), encoded.size());
    if (raw_bytes == ZSTD_CONTENTSIZE_ERROR || raw_bytes == ZSTD_CONTENTSIZE_UNKNOWN ||
        raw_bytes > raw_bytes_bound(encoded.size())) {
        return bad("not a zstd frame of a table of contents");
    }
    Bytes raw(raw_bytes);
    const auto size = ZSTD_decompress(raw.data(), raw.size(), encoded.data(), encoded.size());
    if (ZSTD_isError(size) != 0 || size != raw.size()) {
        return bad("the table of contents does not decompress");
    }
    return parse_toc(raw, toc_offset, what);
}

} // namespace slipway
