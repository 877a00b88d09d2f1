#include <cassert>
#include <cstdint>
#include <string>
#include <string_view>

#include "seeder/core/http_rules.h"
#include "seeder/core/push_rules.h"

// What a publisher says: a path, then its Content-Range after a line end.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway::seeder;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto end = std::min(text.find('\n'), text.size());
    const auto object = push_object(text.substr(0, end));
    const auto range = push_range(text.substr(std::min(end + 1, text.size())));
    if (object) {
        assert(repository_path("/" + object->path)); // Nothing outside the layout.
    }
    if (range) {
        assert(range->bytes > 0 && range->bytes <= push_request_bytes_max);
        assert(range->offset + range->bytes <= range->total);
    }
    if (object && range) {
        (void)check_push(*object, *range, range->offset);
    }
    return 0;
}
