#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "common/format/pack.h"
#include "common/format/plan.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const ByteSpan input(data, size);
    const auto map = decode_pack_map(input, "fuzz");
    if (!map) {
        return 0;
    }
    if (!std::ranges::equal(encode_pack_map(*map), input)) {
        std::abort();
    }
    for (const auto& round : toc_rounds(*map, std::span(&map->manifest, 1))) {
        if (round.empty() || round.back() >= map->packs.size()) {
            std::abort();
        }
    }
    return 0;
}
