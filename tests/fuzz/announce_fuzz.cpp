#include <cstdint>
#include <string_view>

#include "seeder/core/http_rules.h"
#include "seeder/core/tracker.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway::seeder;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    static Tracker tracker({.peers_per_swarm_max = 100}, 1);
    tracker.add_swarm({});
    if (const auto announce = parse_announce(text, {127, 0, 0, 1})) {
        (void)tracker.announce(*announce, {}, {});
    }
    if (const auto hashes = parse_scrape(text)) {
        (void)tracker.scrape(*hashes, {});
    }
    (void)repository_path(text);
    (void)range_to_send(text, 1'000);
    return 0;
}
