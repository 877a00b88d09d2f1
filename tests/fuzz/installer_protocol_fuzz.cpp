#include <cstdint>
#include <cstdlib>

#include "agent/core/installer_protocol.h"

// What decodes is encoded and decoded to the same again, and fits into a packet.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const ByteSpan input(data, size);
    if (const auto request = agent::decode_request(input)) {
        const auto text = agent::encode_request(*request);
        const auto again = agent::decode_request(as_bytes(text));
        if (!again || *again != *request) {
            std::abort();
        }
    }
    if (auto reply = agent::decode_reply(input)) {
        const auto text = agent::encode_reply(*reply);
        const auto again = agent::decode_reply(as_bytes(text));
        if (!again || agent::encode_reply(*again) != text ||
            text.size() > agent::installer_message_bytes_max) {
            std::abort();
        }
    }
    return 0;
}
