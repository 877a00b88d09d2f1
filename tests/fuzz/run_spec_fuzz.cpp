#include <cstdint>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "common/format/run_spec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const auto spec = decode_run_spec(ByteSpan(data, size), "fuzz");
    if (spec) {
        const auto again = parse_run_spec(run_spec_json(*spec), "fuzz");
        if (!again || !(*again == *spec)) {
            std::abort();
        }
    }
    return 0;
}
