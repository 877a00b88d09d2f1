#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "common/trust/canonical_json.h"

// Two values with one canonical form would share their signatures: reading back what was written
// gives the same canonical form.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto value = slipway::parse_json({data, size}, 1'000'000, "fuzz");
    if (!value) {
        return 0;
    }
    const auto canonical = slipway::canonical_json(*value);
    const auto text = value->dump();
    const auto again = slipway::parse_json(slipway::as_bytes(text), text.size(), "fuzz");
    if (!again || slipway::canonical_json(*again) != canonical) {
        std::abort();
    }
    return 0;
}
