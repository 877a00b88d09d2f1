#include <cstdint>
#include <cstdlib>

#include "common/format/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const ByteSpan input(data, size);
    const auto manifest = decode_manifest(input, "fuzz");
    if (manifest && encode_manifest(*manifest) != as_text(input)) {
        std::abort();
    }
    return 0;
}
