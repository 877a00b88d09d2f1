#include <cstdint>
#include <cstdlib>

#include "common/tls/enrollment.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const ByteSpan bytes(data, size);
    if (const auto request = tls::EnrollRequest::decode(bytes)) {
        const auto again = tls::EnrollRequest::decode(as_bytes(request->encode()));
        if (again && again->mac != request->mac) {
            std::abort();
        }
    }
    (void)tls::EnrollReply::decode(bytes);
    if (const auto index = tls::TokenIndex::decode(bytes, "fuzz")) {
        if (!tls::TokenIndex::decode(as_bytes(index->encode()), "fuzz")) {
            std::abort();
        }
    }
    return 0;
}
