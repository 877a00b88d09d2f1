#include <cstdint>
#include <cstdlib>

#include "agent/core/timeline.h"

// Timelines that are read, written again, read the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    using namespace slipway::agent;
    const auto timelines = decode_timelines(ByteSpan(data, size), "fuzz");
    if (!timelines) {
        return 0;
    }
    const auto again = decode_timelines(as_bytes(encode_timelines(*timelines)), "fuzz");
    if (!again || *again != *timelines) {
        std::abort();
    }
    for (const auto& one : *timelines) {
        (void)reasons_of(one);
    }
    return 0;
}
