#include "common/swarm/membership.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "tests/fakes/test_authority.h"

namespace slipway::swarm {
namespace {

using namespace std::chrono_literals;
using fakes::TestAuthority;
using fakes::TestHost;

TlsMaterial material_of(const TestHost& host) {
    return {.certificates = host.certificates,
            .keys = TestAuthority::pem(*host.key),
            .authorities = host.authorities,
            .revocations = ""};
}

Result<Memberships> parse(const TlsMaterial& material) {
    return parse_memberships(material, std::chrono::system_clock::now());
}

void check_refused(const TlsMaterial& material, const std::string& reason) {
    const auto parsed = parse(material);
    REQUIRE_FALSE(parsed);
    INFO(describe(parsed.error()));
    CHECK(parsed.error().code == Errc::usage);
    CHECK(parsed.error().context.find(reason) != std::string::npos);
}

} // namespace

TEST_CASE("Memberships: a host's certificate, its key and the authority that signed it",
          "[swarm][tls]") {
    const TestAuthority authority;
    const TestHost host(authority);
    auto material = material_of(host);
    SECTION("as they come") {}
    SECTION("with text around the PEM blocks") {
        material.authorities = "Fleet of tests\n" + material.authorities + "that was it\n";
    }
    const auto parsed = parse(material);
    REQUIRE(parsed);
    REQUIRE(parsed->all.size() == 1);
    CHECK(parsed->all.front()->authority_pem == authority.pem());
    CHECK(parsed->warnings.empty());
}

TEST_CASE("Memberships: what a peer would refuse is refused at the start, with the reason",
          "[swarm][tls]") {
    const TestAuthority authority;
    SECTION("no name for swarms") {
        const TestHost host(authority, {.alternative_names = {"DNS:host.example"}});
        check_refused(material_of(host), "no subjectAltName DNS:*");
    }
    SECTION("a name that only begins like it") {
        const TestHost host(authority, {.alternative_names = {"DNS:*.example"}});
        check_refused(material_of(host), "no subjectAltName DNS:*");
    }
    SECTION("expired") {
        const TestHost host(authority, {.from = -48h, .until = -1h});
        check_refused(material_of(host), "expired on");
    }
    SECTION("not yet valid") {
        const TestHost host(authority, {.from = 1h});
        check_refused(material_of(host), "valid from");
    }
    SECTION("for one end of a connection only") {
        const TestHost host(authority, {.usage = "serverAuth"});
        check_refused(material_of(host), "extendedKeyUsage");
    }
    SECTION("signed by somebody else") {
        const TestHost host(TestAuthority("other fleet"));
        auto material = material_of(host);
        material.authorities = authority.pem();
        check_refused(material, "not signed by any of the authorities");
    }
    SECTION("a chain") {
        const TestAuthority intermediate("intermediate", authority);
        const TestHost host(intermediate);
        auto material = material_of(host);
        material.certificates += intermediate.pem();
        material.authorities = authority.pem();
        check_refused(material, "signed by the intermediate CN=intermediate");
        material.authorities = intermediate.pem();
        check_refused(material, "not self-signed");
    }
    SECTION("another key") {
        auto material = material_of(TestHost(authority));
        material.keys = TestAuthority::pem(*TestAuthority::make_key());
        check_refused(material, "belongs to another private key");
    }
    SECTION("an authority that is none") {
        auto material = material_of(TestHost(authority));
        material.authorities = material.certificates;
        check_refused(material, "not an authority");
    }
    SECTION("broken PEM") {
        auto material = material_of(TestHost(authority));
        material.authorities.insert(material.authorities.size() / 2, "!");
        check_refused(material, "malformed PEM");
    }
    SECTION("nothing at all") {
        auto material = material_of(TestHost(authority));
        material.certificates.clear();
        check_refused(material, "swarms need a certificate");
    }
}

TEST_CASE("Memberships: during a rotation a host has a certificate of each authority",
          "[swarm][tls]") {
    const TestAuthority before("fleet 1");
    const TestAuthority after("fleet 2");
    const TestHost host(after);
    auto material = material_of(host);
    material.authorities = before.pem() + after.pem();
    SECTION("both: the first certificate says where to fetch") {
        material.certificates += TestAuthority::pem(*before.issue(host.key));
        const auto parsed = parse(material);
        REQUIRE(parsed);
        REQUIRE(parsed->all.size() == 2);
        CHECK(parsed->all[0]->authority_pem == after.pem());
        CHECK(parsed->all[1]->authority_pem == before.pem());
        CHECK(parsed->warnings.empty());
    }
    SECTION("with a key of its own, as authorities issue them") {
        const auto key = TestAuthority::make_key();
        material.certificates += TestAuthority::pem(*before.issue(key));
        material.keys += TestAuthority::pem(*key);
        const auto parsed = parse(material);
        REQUIRE(parsed);
        CHECK(parsed->all.size() == 2);
        CHECK(parsed->warnings.empty());
    }
    SECTION("one: the other swarm is left out, and that is told") {
        const auto parsed = parse(material);
        REQUIRE(parsed);
        CHECK(parsed->all.size() == 1);
        REQUIRE(parsed->warnings.size() == 1);
        CHECK(parsed->warnings[0].find("CN=fleet 1") != std::string::npos);
    }
}

TEST_CASE("Memberships: revocation lists", "[swarm][tls]") {
    const TestAuthority authority;
    const TestHost host(authority);
    const auto stolen = authority.issue(host.key, {.name = "stolen"});
    auto material = material_of(host);
    SECTION("revoke what they list") {
        material.revocations = authority.revoke({stolen});
        const auto parsed = parse(material);
        REQUIRE(parsed);
        CHECK(is_revoked(*parsed->all.front(), *stolen));
        CHECK_FALSE(is_revoked(*parsed->all.front(), *host.certificate));
        CHECK(parsed->warnings.empty());
    }
    SECTION("past their date are told of, and what they list stays revoked") {
        material.revocations = authority.revoke({stolen}, -1h);
        const auto parsed = parse(material);
        REQUIRE(parsed);
        CHECK(is_revoked(*parsed->all.front(), *stolen));
        REQUIRE(parsed->warnings.size() == 1);
        CHECK(parsed->warnings[0].find("missing or past its date") != std::string::npos);
    }
    SECTION("of strangers are refused") {
        material.revocations = TestAuthority().revoke({stolen}); // The name is the same.
        check_refused(material, "revocation list: not signed");
    }
}

} // namespace slipway::swarm
