// What an agent's certificate lets anyone send: POST /v1/agents/sync.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "orchestrator/core/agent_report.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    const auto report = slipway::orchestrator::parse_agent_report(body, "host");
    if (report && report->wait_ms > slipway::orchestrator::agent_wait_ms_max) {
        __builtin_trap();
    }
    return 0;
}
