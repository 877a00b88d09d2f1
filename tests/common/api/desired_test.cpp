#include "common/api/desired.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway::api {
namespace {

Result<Desired> decode(std::string_view text) {
    return decode_desired(as_bytes(text), "desired.json");
}
std::string with_run(std::string_view run) {
    return R"({"version":1,"epoch":3,"services":{"web":{"run":)" + std::string(run) + "}}}";
}

} // namespace

TEST_CASE("desired: what is written is read", "[api]") {
    Desired desired{7, {}};
    desired.services["web"] = {Wanted{{"web", "1.2"}, sha256(as_bytes("x")), 2},
                               {Wanted{{"web/next", "1.3"}, std::nullopt, 0}}};
    desired.services["db"] = {};
    desired.generation = 9;
    const auto again = decode(encode_desired(desired));
    REQUIRE(again);
    CHECK(*again == desired);
}

TEST_CASE("desired: fields of later versions are let be", "[api]") {
    CHECK(decode(R"({"version":1,"epoch":1,"services":{},"new":[1]})"));
    CHECK(decode(with_run(R"({"artifact":"web@1","new":{}})")));
}

TEST_CASE("desired: what is wrong is refused, naming file and field", "[api]") {
    const auto check = [](std::string_view text, const char* field) {
        CAPTURE(text);
        const auto decoded = decode(text);
        REQUIRE_FALSE(decoded);
        CHECK(decoded.error().code == Errc::verification_failed);
        CHECK_THAT(decoded.error().context, Catch::Contains("desired.json"));
        CHECK_THAT(decoded.error().context, Catch::Contains(field));
    };
    check("{", "");
    check("[]", "version");
    check(R"({"version":2,"epoch":1,"services":{}})", "version");
    check(R"({"version":1,"epoch":-1,"services":{}})", "epoch");
    check(R"({"version":1,"services":{}})", "epoch");
    check(R"({"version":1,"epoch":1})", "services");
    check(R"({"version":1,"epoch":1,"generation":"1","services":{}})", "generation");
    check(R"({"version":1,"epoch":1,"services":{"../x":{}}})", "services");
    check(R"({"version":1,"epoch":1,"services":{"web":[]}})", "services.web");
    check(with_run("{}"), "services.web.run");
    check(with_run(R"({"artifact":"web"})"), "services.web.run.artifact");
    check(with_run(R"({"artifact":"web@1","digest":"AB"})"), "services.web.run.digest");
    check(with_run(R"({"artifact":"web@1","digest":5})"), "services.web.run.digest");
    check(with_run(R"({"artifact":"web@1","attempt":4294967296})"), "services.web.run.attempt");
    const std::string one = R"({"artifact":"web@1"})";
    check(R"({"version":1,"epoch":1,"services":{"web":{"stage":[)" + one + "," + one + "," + one +
              "," + one + "," + one + "]}}}",
          "services.web.stage");
}

} // namespace slipway::api
