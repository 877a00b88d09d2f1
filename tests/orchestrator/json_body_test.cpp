#include "orchestrator/core/json_body.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway::orchestrator {

TEST_CASE("json body: what was asked for is given, what nobody knows is refused", "[api]") {
    auto body = JsonBody::parse(R"({"service": "web", "emergency": true, "batch": 7})").value();
    CHECK(body.text("service") == "web");
    CHECK(body.text_or("reason", "none") == "none");
    CHECK(body.flag("emergency"));
    CHECK_FALSE(body.flag("plan"));
    CHECK(body.end().error().context.find("'batch'") != std::string::npos);
    CHECK(body.number("batch") == 7U);
    CHECK(body.end());
}

TEST_CASE("json body: the first wrong field is named", "[api]") {
    auto body = JsonBody::parse(R"({"service": 7, "emergency": "yes", "n": -1})").value();
    (void)body.text("service");
    (void)body.flag("emergency");
    (void)body.number("n");
    CHECK(body.end().error().code == Errc::usage);
    CHECK(body.end().error().context.find("service") != std::string::npos);
    auto empty = JsonBody::parse("").value();
    CHECK(empty.end());
    CHECK(empty.text("service").empty());
    CHECK_FALSE(empty.end());
}

TEST_CASE("json body: what is no object, nested too deep or doubled is refused", "[api]") {
    const std::string deep(100, '[');
    for (const auto& bad : std::initializer_list<std::string>{
             "[]", "7", "{", deep, R"({"a":1,"a":2})", std::string(300'000, ' ')}) {
        CHECK(JsonBody::parse(bad).error().code == Errc::usage);
    }
}

} // namespace slipway::orchestrator
