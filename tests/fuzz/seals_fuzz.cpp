#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "agent/core/seal.h"

// Seals that are read, written again, are the same bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    using namespace slipway::agent;
    const ByteSpan bytes(data, size);
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{2}, size / 28}) {
        if (const auto seals = decode_seals(bytes, count)) {
            if (!std::ranges::equal(encode_seals(*seals), bytes)) {
                std::abort();
            }
        }
    }
    return 0;
}
