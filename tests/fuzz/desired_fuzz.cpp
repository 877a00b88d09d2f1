#include <cstdint>
#include <cstdlib>

#include "common/api/desired.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    if (const auto desired = api::decode_desired(ByteSpan(data, size), "fuzz")) {
        const auto again = api::decode_desired(as_bytes(api::encode_desired(*desired)), "fuzz");
        if (!again || *again != *desired) {
            std::abort();
        }
    }
    return 0;
}
