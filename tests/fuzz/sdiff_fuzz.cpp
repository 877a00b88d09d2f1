#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <zstd.h>

#include "common/delta/sdiff.h"

namespace {

using slipway::Bytes;
using slipway::ByteSpan;

/// Takes the part that two bytes of `rest` give the length of.
ByteSpan take(ByteSpan& rest) {
    if (rest.size() < 2) {
        return {};
    }
    const std::size_t length = rest[0] + 256U * rest[1];
    const auto part = rest.subspan(2, std::min(length, rest.size() - 2));
    rest = rest.subspan(2 + part.size());
    return part;
}

Bytes framed(ByteSpan stream) {
    Bytes frame(ZSTD_compressBound(stream.size()));
    frame.resize(ZSTD_compress(frame.data(), frame.size(), stream.data(), stream.size(), 1));
    return stream.empty() ? Bytes() : frame;
}

/// What sdiff_encode() makes comes back.
void round_trip(ByteSpan rest) {
    const auto base = take(rest);
    if (base.empty() || rest.empty()) {
        return;
    }
    Bytes out(rest.size());
    const auto patch = slipway::sdiff_encode(rest, base);
    if (!slipway::sdiff_decode(patch, base, out) ||
        !std::equal(out.begin(), out.end(), rest.begin())) {
        std::abort();
    }
}

/// Any content of the streams: behind frames that are whole, where a mutated patch rarely comes.
void hostile_streams(ByteSpan rest) {
    const auto base = take(rest);
    const auto out_bytes = take(rest).size() * 16;
    Bytes patch;
    Bytes frames;
    slipway::ByteWriter lengths(patch);
    for (int i = 0; i < 8; ++i) {
        const auto frame = framed(take(rest));
        lengths.varint(frame.size());
        frames.insert(frames.end(), frame.begin(), frame.end());
    }
    patch.insert(patch.end(), frames.begin(), frames.end());
    Bytes out(out_bytes);
    (void)slipway::sdiff_decode(patch, base, out);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 0) {
        const ByteSpan rest(data + 1, size - 1);
        (data[0] % 2 == 0 ? round_trip : hostile_streams)(rest);
    }
    return 0;
}
