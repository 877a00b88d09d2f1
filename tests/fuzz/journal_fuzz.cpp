#include <cstdint>
#include <cstdlib>

#include "agent/core/install_state.h"
#include "agent/core/journal_format.h"

// What is read of a journal, written again, reads the same; so does the state of a service.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    using namespace slipway::agent;
    const auto content = read_journal(ByteSpan(data, size));
    auto again = journal_header();
    for (const auto& entry : content.entries) {
        append_journal_entry(again, entry);
        if (const auto state = decode_install_state(as_bytes(entry.value), "fuzz")) {
            const auto twice = decode_install_state(as_bytes(encode_install_state(*state)), "fuzz");
            if (!twice || *twice != *state) {
                std::abort();
            }
            (void)resume(*state);
            for (const Event& event : {Event(Wake{}), Event(Done{1, {}}), Event(Observed{})}) {
                (void)step({}, *state, event, 0);
            }
        }
    }
    if (!content.entries.empty() && read_journal(again).entries != content.entries) {
        std::abort();
    }
    return 0;
}
