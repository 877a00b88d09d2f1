// An event of the queue on the disk.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "agent/core/event_format.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    if (const auto event = agent::decode_event(ByteSpan(data, size), "fuzz")) {
        const auto again = agent::decode_event(as_bytes(agent::encode_event(*event)), "fuzz");
        if (!again || *again != *event) {
            std::abort();
        }
    }
    return 0;
}
