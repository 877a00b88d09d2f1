#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "common/swarm/metainfo.h"

// The first 40 bytes are the pack's address, the rest is the metainfo that claims to be its own.
// What passes must be what make_metainfo() writes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const ByteSpan input(data, size);
    PackId id;
    if (size < id.root.bytes.size() + 8) {
        return 0;
    }
    std::ranges::copy(input.first(id.root.bytes.size()), id.root.bytes.begin());
    ByteReader reader(input.subspan(id.root.bytes.size()), "fuzz");
    id.bytes = *reader.u64();
    const auto metainfo = input.subspan(id.root.bytes.size() + 8);
    const auto layer = swarm::verify_metainfo(metainfo, id, "fuzz");
    if (layer) {
        const auto again = swarm::make_metainfo({id.root, id.bytes, *layer});
        if (!std::ranges::equal(again, metainfo)) {
            std::abort();
        }
    }
    return 0;
}
