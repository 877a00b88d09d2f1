#include <cassert>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "orchestrator/core/gate_answers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway::orchestrator;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    constexpr std::int64_t now_ms = 1'700'000'000'000;
    const auto reading = parse_metric_answer(200, text, now_ms, std::chrono::seconds{60});
    // Samples or a reason, never both and never neither: a gate must not pass on nothing.
    assert(reading.samples.empty() != reading.missing.empty());
    const auto judged = judge_limits(reading, {.min = 0, .max = 1});
    assert(reading.missing.empty() || judged.verdict == GateVerdict::hold);
    (void)parse_gate_answer(200, text);
    (void)check_outgoing_url(text);
    return 0;
}
