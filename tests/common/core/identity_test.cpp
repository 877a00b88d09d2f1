#include "common/core/identity.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway {
namespace {

Result<Identity> from(std::vector<std::string> uris) {
    return identity_from_uris(uris);
}

} // namespace

TEST_CASE("identity: each role has one form", "[identity]") {
    CHECK(from({"slipway://agent/web-1.eu.example"}) ==
          Identity{.role = Role::agent, .name = "web-1.eu.example"});
    CHECK(from({"slipway://seeder/eu"})->role == Role::seeder);
    CHECK(from({"slipway://publisher/ci"})->role == Role::publisher);
    CHECK(from({"slipway://orchestrator/main"})->role == Role::orchestrator);
    for (const auto level : {OperatorLevel::viewer, OperatorLevel::deployer,
                             OperatorLevel::approver, OperatorLevel::admin}) {
        const Identity ann{Role::human_operator, "ann", level};
        CHECK(from({ann.uri()}) == ann);
        CHECK(Identity::parse_text(ann.text()) == ann);
    }
    CHECK(from({"slipway://operator/ann?role=admin"})->level == OperatorLevel::admin);
}

TEST_CASE("identity: URIs of others are passed over, ours must be the only one", "[identity]") {
    CHECK(from({"spiffe://x/y", "slipway://agent/h1", "https://slipway/"})->text() == "agent/h1");
    CHECK_FALSE(from({}));
    CHECK_FALSE(from({"spiffe://agent/h1"}));
    CHECK_FALSE(from({"slipway://agent/h1", "slipway://agent/h1"}));
    CHECK_FALSE(from({"slipway://agent/h1", "slipway://seeder/eu"}));
    CHECK_FALSE(from({"slipway://agent/h1", "SLIPWAY://seeder/eu"}));
}

TEST_CASE("identity: what is not exactly the form is nobody", "[identity]") {
    using namespace std::string_literals;
    for (const auto& bad : {"slipway://"s,
                            "slipway://agent"s,
                            "slipway://agent/"s,
                            "slipway:/agent/h1"s,
                            "slipway:agent/h1"s,
                            "Slipway://agent/h1"s,
                            "slipway://Agent/h1"s,
                            "slipway://agent/H1"s,
                            "slipway://agent/h1/"s,
                            "slipway://agent/h1/x"s,
                            "slipway://agent/h1?role=admin"s,
                            "slipway://agent/h1#x"s,
                            "slipway://agent/h1 "s,
                            "slipway://agent/h1\0"s,
                            "slipway://agent/h1\0.evil"s,
                            "slipway://agent/.h1"s,
                            "slipway://agent/-h1"s,
                            "slipway://agent/h..1"s,
                            "slipway://agent/h%31"s,
                            "slipway://user@agent/h1"s,
                            "slipway://operator/ann"s,
                            "slipway://operator/ann?role="s,
                            "slipway://operator/ann?role=root"s,
                            "slipway://operator/ann?role=viewer&role=admin"s,
                            "slipway://operator/?role=admin"s,
                            "slipway://human_operator/ann?role=admin"s,
                            "slipway://root/x"s,
                            "slipway://agent/"s + std::string(254, 'a')}) {
        CAPTURE(bad);
        const auto identity = from({bad});
        REQUIRE_FALSE(identity);
        CHECK(identity.error().code == Errc::verification_failed);
        CHECK(identity.error().context.size() < 300);
    }
    CHECK(from({"slipway://agent/" + std::string(253, 'a')}));
}

TEST_CASE("authorize: the table of who may do what", "[identity]") {
    const Identity agent{Role::agent, "h1", {}};
    const Identity seeder{Role::seeder, "eu", {}};
    const Identity publisher{Role::publisher, "ci", {}};
    const Identity admin{Role::human_operator, "ann", OperatorLevel::admin};
    const Identity orchestrator{Role::orchestrator, "main", {}};
    for (const auto& who : {agent, seeder, publisher, admin, orchestrator}) {
        CAPTURE(who.text());
        CHECK(authorize(who, Action::read_repository));
        CHECK(authorize(who, Action::push_release).has_value() == (who == publisher));
        CHECK(authorize(who, Action::announce).has_value() ==
              (who == agent || who == seeder || who == orchestrator));
    }
    const auto refused = authorize(agent, Action::push_release);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::forbidden);
    CHECK(refused.error().context ==
          "agent/h1 may not push a release; the role that may: publisher");
}

} // namespace slipway
