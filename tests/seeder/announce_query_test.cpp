#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include "common/core/errc.h"
#include "seeder/core/tracker.h"

namespace slipway::seeder {
namespace {

const std::vector<std::uint8_t> caller{10, 0, 0, 1};
const std::string hash = "%00%01%02%03%04%05%06%07%08%09%0a%0B%0c%0d%0e%0f%10%11%12%ff";
const std::string good = "info_hash=" + hash + "&peer_id=-SL0100-abcdefghijkl&port=6881";

} // namespace

TEST_CASE("parse_announce: what a client sends is understood", "[announce]") {
    const auto announce =
        parse_announce(good + "&uploaded=0&left=42&event=started&numwant=7&compact=1", caller);
    REQUIRE(announce);
    CHECK(announce->swarm[0] == 0);
    CHECK(announce->swarm[19] == 0xff);
    CHECK(announce->peer == PeerEndpoint{caller, 6881});
    CHECK(announce->left == 42);
    CHECK(announce->peers_wanted == 7);
    CHECK(announce->event == AnnounceEvent::started);
}

TEST_CASE("parse_announce: an address in the query is not believed", "[announce]") {
    CHECK(parse_announce(good + "&ip=1.2.3.4&ipv4=1.2.3.4", caller)->peer.address == caller);
}

TEST_CASE("parse_announce: malformed queries are refused", "[announce]") {
    for (const auto& bad : std::vector<std::string>{
             "", "info_hash=abc&peer_id=x&port=1", good + "&port=0", good + "&port=65536",
             good + "&left=-1", good + "&left=", good + "&x=%4", good + "&x=%zz",
             good + "&x=" + std::string(9'000, 'a')}) {
        CAPTURE(bad);
        const auto announce = parse_announce(bad, caller);
        REQUIRE_FALSE(announce);
        CHECK(announce.error().code == Errc::usage);
    }
    CHECK(rc::check([](const std::string& query) { (void)parse_announce(query, caller); }));
}

TEST_CASE("parse_scrape: takes up to 64 hashes", "[announce]") {
    std::string query;
    for (int i = 0; i < 70; ++i) {
        query += "info_hash=" + hash + "&";
    }
    const auto hashes = parse_scrape(query);
    REQUIRE(hashes);
    CHECK(hashes->size() == 64);
    CHECK_FALSE(parse_scrape("info_hash=short"));
    CHECK(parse_scrape("")->empty());
}

} // namespace slipway::seeder
