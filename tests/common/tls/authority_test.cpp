#include "common/tls/authority.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "tests/common/tls/handshake.h"

namespace slipway::tls {
namespace fs = std::filesystem;

TEST_CASE("authority: a directory holds one, and its key is its owner's", "[authority]") {
    const Fleet fleet;
    CHECK(fs::status(fleet.authority()).permissions() == fs::perms::owner_all);
    CHECK(fs::status(fleet.authority() / "ca.key").permissions() == fs::perms(0600));
    const auto again = Authority::init(fleet.authority(), {}, now());
    REQUIRE_FALSE(again);
    CHECK(again.error().code == Errc::failed);
    const auto none = Authority::open(fleet.home() / "nowhere");
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Errc::not_found);
}

TEST_CASE("authority: a certificate ends no later than its authority", "[authority]") {
    const Fleet fleet;
    auto authority = Authority::open(fleet.authority());
    REQUIRE(authority);
    IssueRequest request{.identity = {Role::agent, "h1", {}},
                         .dns_names = {},
                         .addresses = {},
                         .valid = std::chrono::days(30'000),
                         .algorithm = KeyAlgorithm::p256,
                         .out = fleet.home() / "h1"};
    const auto issued = authority->issue(request, now());
    REQUIRE(issued);
    CHECK(issued->not_after <= now() + std::chrono::days(3650));
    CHECK(issued->not_after > now() + std::chrono::days(3600));
    CHECK(fs::status(request.out / "key.pem").permissions() == fs::perms(0600));
    CHECK(issued->serial.size() == 32);
}

TEST_CASE("authority: another party's files are not overwritten", "[authority]") {
    Fleet fleet;
    fleet.issue("agent/h1", "place");
    auto authority = Authority::open(fleet.authority());
    REQUIRE(authority);
    IssueRequest request;
    request.identity = {Role::agent, "h2", {}};
    request.out = fleet.home() / "place";
    CHECK_FALSE(authority->issue(request, now()));
    request.identity.name = "h1";
    CHECK(authority->issue(request, now()));
    CHECK(authority->issued().size() == 2);
}

TEST_CASE("authority: malformed names and addresses are refused", "[authority]") {
    const Fleet fleet;
    auto authority = Authority::open(fleet.authority());
    REQUIRE(authority);
    IssueRequest request;
    request.identity = {Role::seeder, "eu", {}};
    request.out = fleet.home() / "eu";
    for (const auto* bad : {"", "a b", "a..b", "a/b", "a\nb"}) {
        request.dns_names = {bad};
        const auto issued = authority->issue(request, now());
        REQUIRE_FALSE(issued);
        CHECK(issued.error().code == Errc::usage);
    }
    request.dns_names.clear();
    request.addresses = {"300.1.1.1"};
    CHECK_FALSE(authority->issue(request, now()));
    CHECK(authority->issued().empty());
}

TEST_CASE("authority: revokes all certificates of a party, or one by its serial", "[authority]") {
    Fleet fleet;
    fleet.issue("agent/h1", "a");
    fleet.issue("agent/h1", "b");
    fleet.issue("agent/h2", "c");
    auto authority = Authority::open(fleet.authority());
    REQUIRE(authority);
    const auto serial = authority->issued()[2].serial;
    CHECK(authority->revoke("agent/h1", list_valid_by_default, now())->size() == 2);
    CHECK(authority->revoke(serial, list_valid_by_default, now())->front().identity.text() ==
          "agent/h2");
    const auto again = authority->revoke("agent/h1", list_valid_by_default, now());
    REQUIRE_FALSE(again);
    CHECK(again.error().code == Errc::failed);
    const auto unknown = authority->revoke("agent/h9", list_valid_by_default, now());
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().code == Errc::not_found);
}

TEST_CASE("issued index: reads back what it wrote and refuses damage", "[authority]") {
    IssuedIndex index{.crl_number = 7, .certificates = {}};
    index.certificates.push_back({"4f01", {Role::agent, "h1", {}}, now(), std::nullopt});
    index.certificates.push_back(
        {"4f02", {Role::human_operator, "ann", OperatorLevel::admin}, now(), now()});
    const auto text = index.encode();
    const auto read = IssuedIndex::decode(as_bytes(text), "issued.json");
    REQUIRE(read);
    CHECK(read->encode() == text);
    for (const auto* bad :
         {"", "{}", "[]", R"({"version":2,"crl_number":1,"certificates":[]})",
          R"({"version":1,"crl_number":1,"certificates":[{"serial":"zz","identity":"agent/h",
              "not_after":"2026-01-01T00:00:00Z"}]})",
          R"({"version":1,"crl_number":1,"certificates":[{"serial":"aa","identity":"root/h",
              "not_after":"2026-01-01T00:00:00Z"}]})",
          R"({"version":1,"crl_number":1,"certificates":[{"serial":"aa","identity":"agent/h",
              "not_after":"soon"}]})"}) {
        CAPTURE(bad);
        const auto damaged = IssuedIndex::decode(as_bytes(bad), "issued.json");
        REQUIRE_FALSE(damaged);
        CHECK(damaged.error().code == Errc::verification_failed);
    }
}

} // namespace slipway::tls
