#include <cstddef>
#include <cstdint>

#include "common/delta/codec.h"

// Input: one byte chooses the codec, two the length of the base, two the length of the output; then
// the base, then the encoded block.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t header = 5;
    if (size < header) {
        return 0;
    }
    const auto codec = static_cast<slipway::Codec>(data[0] % 4);
    const std::size_t base_bytes = data[1] + 256U * data[2];
    const std::size_t out_bytes = data[3] + 256U * data[4];
    if (size - header < base_bytes) {
        return 0;
    }
    const slipway::ByteSpan rest(data + header, size - header);
    slipway::Bytes out(out_bytes);
    (void)slipway::decode_block(codec, rest.subspan(base_bytes), rest.first(base_bytes), out);
    return 0;
}
