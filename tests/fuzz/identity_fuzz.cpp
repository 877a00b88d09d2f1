#include <cassert>
#include <cstdint>
#include <string>
#include <vector>

#include "common/core/identity.h"

// Lines of the input are the URIs of one certificate.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const std::string text(reinterpret_cast<const char*>(data), size);
    std::vector<std::string> uris;
    for (std::size_t start = 0; start <= text.size();) {
        const auto end = std::min(text.find('\n', start), text.size());
        uris.push_back(text.substr(start, end - start));
        start = end + 1;
    }
    if (const auto identity = identity_from_uris(uris)) {
        const std::vector<std::string> again{identity->uri()};
        assert(identity_from_uris(again) == *identity); // One identity has one spelling.
        assert(text.find(identity->uri()) != std::string::npos);
        (void)authorize(*identity, Action::push_release);
    }
    (void)Identity::parse_text(text);
    return 0;
}
