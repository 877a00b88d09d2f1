#include <array>
#include <cstdint>
#include <string_view>

#include "common/http/listen_address.h"
#include "orchestrator/core/api_rules.h"
#include "orchestrator/core/json_body.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway::orchestrator;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    constexpr std::array<std::string_view, 3> known{"after", "limit", "label"};
    (void)slipway::http::parse_listen_address(text);
    (void)match_route("GET", text);
    if (const auto query = parse_query(text, known)) {
        (void)page_of(*query);
    }
    (void)parse_labels(text);
    if (auto body = JsonBody::parse(text)) {
        (void)body->text("service");
        (void)body->number("limit");
        (void)body->end();
    }
    return 0;
}
