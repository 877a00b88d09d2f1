#include <cstdint>
#include <cstdlib>

#include <zstd.h>

#include "common/format/pack.h"

namespace {

void check(slipway::ByteSpan encoded) {
    constexpr std::uint64_t toc_offset = 1ULL << 32U;
    const auto toc = slipway::decode_toc(encoded, toc_offset, "fuzz");
    if (!toc) {
        return;
    }
    // What was taken is within the limits of a block, and survives a round trip.
    std::uint64_t end = slipway::pack_magic.size();
    for (const auto& block : toc->blocks) {
        if (block.offset < end || block.chunks.empty() ||
            block.base_bytes() > slipway::block_base_bytes_max ||
            (block.chunks.size() > 1 && block.raw_bytes() > slipway::solid_block_bytes_max)) {
            std::abort();
        }
        end = block.offset + block.encoded_bytes;
    }
    if (end > toc_offset) {
        std::abort();
    }
    const auto again = slipway::decode_toc(slipway::encode_toc(*toc), toc_offset, "fuzz");
    if (!again || again->blocks != toc->blocks) {
        std::abort();
    }
}

} // namespace

// As it is, for the frame, and in a frame, for the table: mutations rarely survive the compression.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    check({data, size});
    slipway::Bytes frame(ZSTD_compressBound(size));
    frame.resize(ZSTD_compress(frame.data(), frame.size(), data, size, 1));
    check(frame);
    return 0;
}
