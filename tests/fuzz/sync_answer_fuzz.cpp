// What whoever holds an orchestrator's certificate can answer an agent.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "common/api/sync.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    if (const auto answer = api::decode_sync_answer(ByteSpan(data, size), "fuzz")) {
        const auto again =
            api::decode_sync_answer(as_bytes(api::encode_sync_answer(*answer)), "fuzz");
        // Written out with its white space an answer may exceed the bound; then it is refused.
        if ((again && *again != *answer) || (!again && size < 4'096)) {
            std::abort();
        }
    }
    return 0;
}
