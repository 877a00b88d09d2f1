#include <cstdint>
#include <cstdlib>

#include "agent/core/agent_config.h"

// A configuration is read, or refused with a reason; whatever it says.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const auto config = agent::parse_agent_config(as_text(ByteSpan(data, size)), "fuzz");
    if (config ? config->seeders.empty() : config.error().context.size() <= 6) {
        std::abort();
    }
    return 0;
}
