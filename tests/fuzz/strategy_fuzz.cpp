#include <cassert>
#include <cstdint>
#include <string_view>

#include "orchestrator/core/deployment_plan.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway::orchestrator;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto strategy = parse_strategy(text, "strategy");
    if (!strategy) {
        return 0;
    }
    // What was read is written so that it is read back, and can be planned with.
    const auto again = parse_strategy(encode_strategy(*strategy), "strategy");
    assert(again && *again == *strategy);
    PlanInput input;
    input.key = {"web", "prod"};
    input.to.artifact = {"web", "1"};
    input.strategy = *strategy;
    input.hosts = {{"a", {{"zone", "1"}}}, {"b", {{"zone", "2"}}}, {"c", {}}};
    const auto plan = make_plan(input);
    assert(plan);
    std::size_t hosts = 0;
    for (const auto& batch : plan->batches) {
        hosts += batch.hosts.size();
    }
    assert(hosts == input.hosts.size());
    return 0;
}
