#include <cassert>
#include <cstdint>
#include <string>
#include <string_view>

#include <libtorrent/bdecode.hpp>

#include "seeder/core/tracker.h"

// The tracker's replies as libtorrent reads them, whatever was announced before: lines of input are
// queries of peers, each from an address of its own.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway::seeder;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    Tracker tracker({.peers_per_swarm_max = 20, .peers_per_reply_max = 5}, 1);
    Tracker::TimePoint now{};
    for (std::uint8_t caller = 1; caller < 40 && !text.empty(); ++caller) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        now += std::chrono::seconds(caller);
        const auto announce = parse_announce(line, {127, 0, 0, caller});
        if (!announce) {
            continue;
        }
        if (caller % 8 != 7) { // Some ask for a swarm that is not tracked.
            tracker.add_swarm(announce->swarm);
        }
        const auto reply = tracker.announce(*announce, PeerEndpoint{{127, 0, 0, 1}, 6881}, now);
        lt::error_code error;
        const auto parsed = lt::bdecode(reply, error);
        assert(!error && parsed.type() == lt::bdecode_node::dict_t);
        if (!parsed.dict_find_string("failure reason")) {
            assert(parsed.dict_find_int_value("interval", -1) > 0);
            assert(parsed.dict_find_string_value("peers").size() % 6 == 0);
            assert(parsed.dict_find_string_value("peers").size() <= 6 * 6);
        }
    }
    return 0;
}
