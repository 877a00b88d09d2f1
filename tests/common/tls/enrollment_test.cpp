#include "common/tls/enrollment.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "common/tls/certificate_request.h"
#include "tests/bad_input.h"
#include "tests/common/tls/handshake.h"

namespace slipway::tls {
namespace {

using std::chrono::hours;

const EnrollToken token{std::string(16, 'a'), std::string(64, 'b')};

TokenIndex::Entry entry(const std::string& id, std::chrono::sys_seconds not_after) {
    return {{id, std::string(64, 'b')}, {Role::agent, "h1", {}}, not_after, {}};
}

std::string take(const Fleet& fleet, const std::string& name) {
    auto authority = Authority::open(fleet.authority());
    REQUIRE(authority);
    const auto text = authority->make_token({Role::agent, name, {}}, now() + hours(1), now());
    REQUIRE(text);
    return *text;
}

Result<EnrollReply> ask(const Fleet& fleet, const EnrollRequest& request,
                        std::chrono::sys_seconds when = now()) {
    return Authority::open(fleet.authority())
        .and_then([&](Authority authority) {
            return authority.enroll(as_bytes(request.encode()), std::chrono::days(90), when);
        })
        .and_then([](const std::string& text) { return EnrollReply::decode(as_bytes(text)); });
}

} // namespace

TEST_CASE("enroll: a token has one form", "[enroll]") {
    CHECK(EnrollToken::parse(token.text())->secret == token.secret);
    for (const auto& bad : {std::string(), token.id, token.text() + "0",
                            "A" + token.text().substr(1), token.id + ":" + token.secret}) {
        CHECK(EnrollToken::parse(bad).error().code == Errc::usage);
    }
}

TEST_CASE("enroll: any damage to a message is refused, or seen by its mac", "[enroll]") {
    const auto request = make_enroll_request(token, "csr");
    const auto text = request.encode();
    const Bytes good(as_bytes(text).begin(), as_bytes(text).end());
    tests::check_refuses_damage(good, false, [&](ByteSpan bytes) -> std::optional<Error> {
        const auto read = EnrollRequest::decode(bytes);
        return read ? std::nullopt : std::optional(read.error());
    });
    CHECK(check_mac(token, request));
    auto changed = request;
    changed.csr = "csr2";
    CHECK(check_mac(token, changed).error().code == Errc::forbidden);
    auto other = token;
    other.secret.back() = '0';
    CHECK(check_mac(other, request).error().code == Errc::forbidden);

    const auto reply = make_enroll_reply(token, request.mac, "certificate", "authority");
    CHECK(check_mac(token, request.mac, reply));
    CHECK_FALSE(check_mac(token, changed.mac + "0", reply));
    auto moved = reply; // The same bytes, cut elsewhere.
    moved.certificate += "a";
    moved.authority.erase(0, 1);
    CHECK_FALSE(check_mac(token, request.mac, moved));
    CHECK(EnrollReply::decode(as_bytes(reply.encode()))->authority == "authority");
    CHECK_FALSE(EnrollReply::decode(Bytes(enroll_message_bytes_max + 1, ' ')));
}

TEST_CASE("enroll: a token is for one key, until it expires", "[enroll]") {
    TokenIndex index;
    const std::string id(16, '1');
    const auto begin = now();
    REQUIRE(index.add(entry(id, begin + hours(1)), begin));
    const std::string key(64, '1');
    CHECK(index.redeem("0000000000000000", key, begin).error().code == Errc::forbidden);
    CHECK(index.redeem(id, key, begin + hours(1)).error().code == Errc::forbidden);
    CHECK(index.redeem(id, key, begin)->name == "h1");
    CHECK(index.redeem(id, key, begin)); // The answer may have been lost.
    CHECK(index.redeem(id, std::string(64, '2'), begin).error().code == Errc::forbidden);
    const auto again = TokenIndex::decode(as_bytes(index.encode()), "tokens.json");
    REQUIRE(again);
    CHECK(again->entries.front().key == key);
    CHECK(again->entries.front().not_after == begin + hours(1));
    REQUIRE(index.add(entry(std::string(16, '2'), begin + hours(9)), begin + hours(2)));
    CHECK(index.entries.size() == 1); // What expired is forgotten.
    CHECK(TokenIndex::decode(as_bytes("{\"version\":2,\"tokens\":[]}"), "x").error().code ==
          Errc::verification_failed);
    CHECK_FALSE(TokenIndex::decode(as_bytes("{\"version\":1,\"tokens\":[{\"id\":\"x\"}]}"), "x"));
}

TEST_CASE("enroll: a host gets a certificate that its peers take", "[enroll]") {
    Fleet fleet;
    const auto given = EnrollToken::parse(take(fleet, "h1"));
    REQUIRE(given);
    const auto out = fleet.home() / "h1";
    const auto csr = make_certificate_request(out);
    REQUIRE(csr);
    const auto request = make_enroll_request(*given, *csr);
    const auto reply = ask(fleet, request);
    REQUIRE(reply);
    REQUIRE(check_mac(*given, request.mac, *reply));
    const auto identity = accept_certificate(out, *reply);
    REQUIRE(identity);
    CHECK(identity->text() == "agent/h1");
    const auto seeder = Credentials::load(fleet.issue("seeder/eu", "eu"));
    const auto host = Credentials::load({out / "cert.pem", out / "key.pem", out / "ca.pem", {}});
    REQUIRE(seeder);
    REQUIRE(host);
    CHECK(shake_hands(**seeder, **host).done);
    // Again with the same key: a second certificate. With another: the token is gone.
    CHECK(ask(fleet, request));
    const auto stolen = make_certificate_request(fleet.home() / "thief");
    CHECK(ask(fleet, make_enroll_request(*given, *stolen)).error().code == Errc::forbidden);
    CHECK_FALSE(accept_certificate(fleet.home() / "thief", *reply));
    // What it got is in the authority's list and can be revoked.
    CHECK(Authority::open(fleet.authority())->issued().size() == 3);
}

TEST_CASE("enroll: a request that proves nothing is refused and takes no token", "[enroll]") {
    Fleet fleet;
    const auto given = EnrollToken::parse(take(fleet, "h2"));
    auto guessed = *given;
    guessed.secret = std::string(64, '0');
    const auto csr = make_certificate_request(fleet.home() / "h2");
    CHECK(ask(fleet, make_enroll_request(guessed, *csr)).error().code == Errc::forbidden);
    CHECK(ask(fleet, make_enroll_request(*given, "no request")).error().code ==
          Errc::verification_failed);
    auto unsigned_csr = *csr; // A changed signature: the sender does not have the key.
    const auto at = unsigned_csr.find("-----END") - 6;
    unsigned_csr[at] = unsigned_csr[at] == 'A' ? 'B' : 'A';
    CHECK(ask(fleet, make_enroll_request(*given, unsigned_csr)).error().code ==
          Errc::verification_failed);
    CHECK(ask(fleet, make_enroll_request(*given, *csr), now() + hours(2)).error().code ==
          Errc::forbidden);
    CHECK(ask(fleet, make_enroll_request(*given, *csr)));
}

} // namespace slipway::tls
