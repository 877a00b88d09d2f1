#include "orchestrator/core/api_rules.h"

#include <array>

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway::orchestrator {
namespace {

Identity who(const char* text) {
    return Identity::parse_text(text).value();
}

} // namespace

TEST_CASE("match_route: a path's parameters are decoded, and stay one part", "[api]") {
    const auto shown = match_route("GET", "/v1/deployments/d-1/hosts");
    REQUIRE(shown);
    CHECK(shown->operation == Operation::deployment_hosts);
    CHECK(shown->parameters == std::vector<std::string>{"d-1"});
    CHECK(match_route("HEAD", "/v1/hosts/web%2d1")->parameters.front() == "web-1");
    for (const auto* bad : {"", "/", "/v1/", "/v1/hosts/", "/v1/hosts//x", "/v1/hosts/%zz", "/v2",
                            "/v1/deployments/a/b/c", "v1"}) {
        CAPTURE(bad);
        CHECK(match_route("GET", bad).error().code == Errc::not_found);
    }
    const auto wrong = match_route("POST", "/v1/hosts/web-1");
    CHECK(wrong.error().code == std::errc::operation_not_supported);
    CHECK(wrong.error().context.find("GET, DELETE") != std::string::npos);
}

TEST_CASE("check_access: an approver moves nothing, a deployer approves nothing", "[api]") {
    const auto deployer = who("operator/ann?role=deployer");
    const auto approver = who("operator/bob?role=approver");
    const auto admin = who("operator/eve?role=admin");
    const auto viewer = who("operator/zoe?role=viewer");
    const auto agent = who("agent/web-1");
    CHECK(check_access(deployer, Access::deployer));
    CHECK_FALSE(check_access(deployer, Access::approver));
    CHECK(check_access(approver, Access::approver));
    CHECK_FALSE(check_access(approver, Access::deployer));
    for (const auto access : {Access::viewer, Access::deployer, Access::approver, Access::admin}) {
        CHECK(check_access(admin, access));
        CHECK_FALSE(check_access(agent, access));
        CHECK(check_access(viewer, access).has_value() == (access == Access::viewer));
    }
    CHECK(check_access(agent, Access::agent));
    CHECK_FALSE(check_access(admin, Access::agent));
    CHECK_FALSE(check_access(who("publisher/ci"), Access::viewer));
    CHECK(check_access(who("orchestrator/o2"), Access::viewer));
    const auto refused = check_access(viewer, Access::deployer);
    CHECK(refused.error().code == Errc::forbidden);
    CHECK(refused.error().context.find("role=deployer") != std::string::npos);
}

TEST_CASE("routes: whatever changes something asks for more than a viewer", "[api]") {
    for (const auto& route : routes()) {
        CAPTURE(route.pattern, route.method);
        const bool changes = route.method != "GET" && route.operation != Operation::plan_deployment;
        CHECK((route.access == Access::viewer || route.access == Access::fleet) == !changes);
    }
}

TEST_CASE("parse_query: only what is known, once, well encoded", "[api]") {
    constexpr std::array<std::string_view, 3> known{"after", "limit", "label"};
    const auto query = parse_query("after=web-1&label=region%3Deu%2Ctier=web+a", known);
    REQUIRE(query);
    CHECK(query->at("label") == "region=eu,tier=web a");
    CHECK(page_of(*query)->after == "web-1");
    CHECK(page_of(*query)->limit == 100);
    for (const auto* bad : {"x=1", "after=1&after=2", "after=%", "after=%4", "after=%g0"}) {
        CAPTURE(bad);
        CHECK(parse_query(bad, known).error().code == Errc::usage);
    }
    for (const auto* bad : {"0", "1001", "-1", "x", "", "99999999999999999999"}) {
        CAPTURE(bad);
        CHECK_FALSE(page_of(Query{{"limit", bad}}));
    }
}

TEST_CASE("parse_labels: all of them must hold", "[api]") {
    const auto wanted = parse_labels("region=eu,tier=web");
    REQUIRE(wanted);
    CHECK(has_labels({{"region", "eu"}, {"tier", "web"}, {"rack", "7"}}, *wanted));
    CHECK_FALSE(has_labels({{"region", "eu"}}, *wanted));
    CHECK(has_labels({}, *parse_labels("")));
    CHECK_FALSE(parse_labels("=x"));
    CHECK_FALSE(parse_labels("region"));
    CHECK_FALSE(parse_labels(std::string(200, 'a') + "=1"));
}

} // namespace slipway::orchestrator
