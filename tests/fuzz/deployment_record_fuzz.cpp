#include <cassert>
#include <cstdint>
#include <string_view>

#include "orchestrator/core/fleet_state.h"

// The first line is the record's kind, the rest its body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway::orchestrator;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto line = text.find('\n');
    if (line == std::string_view::npos) {
        return 0;
    }
    const auto logged = decode_record(text.substr(0, line), 1, text.substr(line + 1), "record");
    if (!logged) {
        return 0;
    }
    const auto again = decode_record(kind_of(logged->record), 1, encode_record(*logged), "record");
    assert(again && *again == *logged);
    FleetState state;
    (void)apply(state, *logged); // Whatever it says, it is applied or refused.
    return 0;
}
