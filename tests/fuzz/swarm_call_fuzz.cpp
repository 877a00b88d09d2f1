#include <cstdint>
#include <cstdlib>

#include "common/api/swarm.h"
#include "seeder/core/assigner.h"

// What an agent says to the tracker, and what a tracker says to an agent.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const ByteSpan text(data, size);
    if (const auto call = api::decode_swarm_call(text, "fuzz")) {
        const auto again = api::decode_swarm_call(as_bytes(api::encode_swarm_call(*call)), "fuzz");
        if (!again || *again != *call) {
            std::abort();
        }
        seeder::Assigner assigner({}, seeder::ZoneMap("eu"), 1);
        assigner.add_swarm("0123456789abcdef0123456789abcdef01234567");
        for (const auto* ip : {"10.0.0.1", "10.0.0.2", "10.0.0.1"}) {
            const auto answer = assigner.call(*call, ip, {});
            if (answer.swarms.size() != call->swarms.size()) {
                std::abort();
            }
        }
    }
    if (const auto answer = api::decode_swarm_answer(text, "fuzz")) {
        const auto again =
            api::decode_swarm_answer(as_bytes(api::encode_swarm_answer(*answer)), "fuzz");
        if (!again || *again != *answer) {
            std::abort();
        }
    }
    return 0;
}
