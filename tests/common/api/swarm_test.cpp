#include "common/api/swarm.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"

using namespace slipway;

namespace {

const std::string hash = "0123456789abcdef0123456789abcdef01234567";

api::SwarmCall sample_call() {
    return {.session = "00112233445566ff",
            .port = 6881,
            .seen = 7,
            .wait = std::chrono::milliseconds(25'000),
            .zone = "eu-1a",
            .region = "eu",
            .swarms = {{.swarm = hash, .lacks = 5, .starving = true, .bad = {"10.0.0.1:6881"}},
                       {.swarm = hash, .bad = {}}}};
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
    const auto at = text.find(what);
    REQUIRE(at != std::string::npos);
    return text.replace(at, what.size(), with);
}

} // namespace

TEST_CASE("swarm call: what is encoded is decoded as it was", "[api]") {
    const auto call = sample_call();
    const auto decoded = api::decode_swarm_call(as_bytes(api::encode_swarm_call(call)), "call");
    REQUIRE(decoded);
    CHECK(*decoded == call);

    const api::SwarmAnswer answer{
        .generation = 8,
        .call = std::chrono::milliseconds(5'000),
        .swarms = {
            {.swarm = hash, .source = true, .dial = {"[fd00::1]:1"}, .expect = {"10.0.0.2:2"}},
            {.swarm = hash, .known = false, .dial = {}, .expect = {}}}};
    const auto again =
        api::decode_swarm_answer(as_bytes(api::encode_swarm_answer(answer)), "answer");
    REQUIRE(again);
    CHECK(*again == answer);
}

TEST_CASE("swarm call: each bad field is refused by its name", "[api]") {
    const auto text = api::encode_swarm_call(sample_call());
    const auto [from, to, field] = GENERATE(table<std::string, std::string, std::string>(
        {{"\"version\":1", "\"version\":2", "version"},
         {"00112233445566ff", "00112233445566FF", "session"},
         {"\"port\":6881", "\"port\":0", "port"},
         {"\"port\":6881", "\"port\":65536", "port"},
         {"\"wait_ms\":25000", "\"wait_ms\":30001", "wait_ms"},
         {"eu-1a", "eu 1a", "zone"},
         {hash, hash.substr(1), "swarm"},
         {"10.0.0.1:6881", "host:6881", "bad"},
         {"\"starving\":true", "\"starving\":1", "starving"},
         {"\"lacks\":5", "\"lacks\":-5", "lacks"}}));
    const auto decoded = api::decode_swarm_call(as_bytes(replaced(text, from, to)), "call");
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == Errc::verification_failed);
    CHECK(decoded.error().context.find(field) != std::string::npos);
}

TEST_CASE("swarm call: lists are bounded, and what is newer is let be", "[api]") {
    auto call = sample_call();
    call.swarms[0].bad.assign(api::bad_peers_max + 1, "10.0.0.1:6881");
    CHECK_FALSE(api::decode_swarm_call(as_bytes(api::encode_swarm_call(call)), "call"));
    call = sample_call();
    call.swarms.assign(api::swarms_of_call_max + 1, {.swarm = hash, .bad = {}});
    CHECK_FALSE(api::decode_swarm_call(as_bytes(api::encode_swarm_call(call)), "call"));
    const auto newer = replaced(api::encode_swarm_call(sample_call()), "{", "{\"more\":[1],");
    CHECK(api::decode_swarm_call(as_bytes(newer), "call"));
    for (const auto* text : {"", "[]", "1", "{\"version\":1,\"swarms\":[1]}", "{\"version\":1}"}) {
        CHECK_FALSE(api::decode_swarm_call(as_bytes(std::string_view(text)), "call"));
    }
}

TEST_CASE("peer text: addresses and ports of both families, and nothing else", "[api]") {
    CHECK(api::peer_text("10.0.0.1", 6881) == "10.0.0.1:6881");
    CHECK(api::peer_text("fd00::1", 1) == "[fd00::1]:1");
    REQUIRE(api::parse_peer("[fd00::1]:65535"));
    CHECK(api::parse_peer("[fd00::1]:65535")->ip == "fd00::1");
    for (const auto* text : {"10.0.0.1", "10.0.0.1:", ":1", "10.0.0.1:0", "10.0.0.1:65536", "a:1",
                             "[]:1", "fd00::1:1x", "[10.0.0.1:5"}) {
        CHECK_FALSE(api::parse_peer(text));
    }
}
