#include <cassert>
#include <cstdint>

#include "orchestrator/judge/judge.h"

// A state from bytes that nobody vouches for: refused, or one that judges and encodes again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    using namespace slipway::orchestrator::judge;
    static const Plan plan = [] {
        MetricRules count;
        set_count_defaults(count);
        count.name = "errors";
        MetricRules quantile;
        quantile.name = "latency";
        quantile.kind = Kind::quantile;
        quantile.bucket_bounds = {1, 2};
        return Plan{.canary = {"a"}, .baseline = {"b"}, .metrics = {count, quantile}};
    }();
    auto state = decode(plan, {data, size});
    if (!state) {
        return 0;
    }
    const auto bytes = encode(plan, *state);
    assert(bytes == Bytes(data, data + size));
    (void)sentence(look(plan, *state,
                        {{.at_ms = 1, .amount = 1, .exposure = 2},
                         {.host = 1, .metric = 1, .at_ms = 1, .buckets = {1, 2, 3}}}));
    return 0;
}
