#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "common/format/index.h"

// What the reader takes, the writer must write again byte for byte: one tree has one index.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const ByteSpan input(data, size);
    Bytes again;
    IndexWriter writer([&](ByteSpan piece) -> Result<> {
        again.insert(again.end(), piece.begin(), piece.end());
        return {};
    });
    const auto read = for_each_entry(input, "fuzz", [&](const IndexEntry& entry) -> Result<> {
        if (!writer.add(entry)) {
            std::abort();
        }
        return {};
    });
    if (read && (!writer.finish() || !std::ranges::equal(again, input))) {
        std::abort();
    }
    return 0;
}
