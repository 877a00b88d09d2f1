// What an agent's certificate lets anyone send: POST /v1/agents/sync.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/api/sync.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway::api;
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    auto report = decode_sync_report(body);
    if (!report) {
        return 0;
    }
    fit_sync_report(*report);
    const auto text = encode_sync_report(*report);
    const auto again = decode_sync_report(text);
    if (report->wait_ms > sync_wait_ms_max || !again || again->services != report->services ||
        again->events != report->events || encode_sync_report(*again) != text) {
        std::abort();
    }
    return 0;
}
