#include "orchestrator/core/agent_report.h"

#include <cmath>
#include <functional>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "common/core/errc.h"

namespace slipway::orchestrator {
namespace {

using nlohmann::json;

const std::string digest(64, 'a');

json whole() {
    return json::parse(
        R"({"version":1,"boot":"00000000000000aa","epoch":7,"generation":3,"wait_ms":1000,
        "labels":{"tier":"web"},
        "services":{"web":{"state":"healthy","running":{"artifact":"web@1.2","digest":")" +
        digest + R"(","since_ms":5},"previous":null,"target":null,"staged":[")" + digest +
        R"("],"ready":true,"bad":[{"digest":")" + digest +
        R"(","attempt":2,"reason":"probe"}],"crashes":1,"restarts":2,"error":"e"}},
        "metrics":[{"service":"web","name":"errors","kind":"count","amount":1.5,"exposure":100,
                    "buckets":[1,2.5],"running_s":9,"process":4}],
        "events":{"stream":"ab","items":[{"id":4,"at_ms":5,"service":"web","kind":"k","text":"t"}]},
        "new":{"field":1}})");
}

Result<AgentReport> parse(const json& body) {
    return parse_agent_report(body.dump(), "h1");
}

} // namespace

TEST_CASE("agent report: all that the machine decides by", "[agent]") {
    const auto report = parse(whole());
    REQUIRE(report);
    CHECK(report->report.host == "h1");
    CHECK(report->report.epoch == 7);
    CHECK(report->report.labels == Labels{{"tier", "web"}});
    const auto& web = report->report.services.at("web");
    CHECK(web.ready);
    CHECK(web.running->artifact == "web@1.2");
    CHECK(web.running->digest->hex() == digest);
    CHECK(web.staged.size() == 1);
    CHECK(web.bad.at(0).attempt == 2);
    CHECK(web.bad.at(0).reason == "probe");
    CHECK(web.crashes == 1);
    REQUIRE(report->metrics.size() == 1);
    CHECK(report->metrics[0].amount == 1.5);
    CHECK(report->metrics[0].buckets == std::vector<double>{1, 2.5});
    CHECK(report->stream == "ab");
    CHECK(report->events.at(0).id == 4);
    CHECK(json::parse(report->events.at(0).body) ==
          json{{"service", "web"}, {"kind", "k"}, {"text", "t"}});
}

TEST_CASE("agent report: what is missing is nothing, and a wait is bounded", "[agent]") {
    const auto report = parse({{"version", 1}, {"wait_ms", 99'999}, {"labels", nullptr}});
    REQUIRE(report);
    CHECK(report->wait_ms == agent_wait_ms_max);
    CHECK(report->report.services.empty());
    auto body = whole();
    body["metrics"][0].erase("amount");
    body["metrics"][0]["exposure"] = "many";
    CHECK(std::isnan(parse(body)->metrics[0].amount));
    CHECK(std::isnan(parse(body)->metrics[0].exposure));
}

TEST_CASE("agent report: what is malformed or beyond a bound is refused with its field",
          "[agent]") {
    const auto refusal = [](const std::function<void(json&)>& change) {
        auto body = whole();
        change(body);
        const auto report = parse(body);
        REQUIRE_FALSE(report);
        CHECK(report.error().code == Errc::usage);
        return report.error().context;
    };
    CHECK(refusal([](json& b) { b["version"] = 2; }).find("version 1") != std::string::npos);
    CHECK(refusal([](json& b) { b["epoch"] = -1; }).find("epoch") != std::string::npos);
    CHECK(refusal([](json& b) { b["labels"]["x"] = 1; }).find("labels") != std::string::npos);
    CHECK(refusal([](json& b) { b["services"]["../x"] = json::object(); }).find("services") !=
          std::string::npos);
    CHECK(refusal([](json& b) { b["services"]["web"]["staged"] = {"zz"}; }).find("staged") !=
          std::string::npos);
    CHECK(refusal([](json& b) { b["services"]["web"]["bad"] = {1}; }).find("bad.digest") !=
          std::string::npos);
    CHECK(refusal([](json& b) {
              b["services"]["web"]["state"] = std::string(2'000, 'x');
          }).find("state") != std::string::npos);
    CHECK(refusal([](json& b) { b["metrics"] = json(1'025, json::object()); }).find("metrics") !=
          std::string::npos);
    CHECK(refusal([](json& b) {
              b["events"]["items"] = json(257, json::object());
          }).find("items") != std::string::npos);
    for (const auto* text : {"", "[]", "{", "{\"version\":\"1\"}", "null"}) {
        CHECK_FALSE(parse_agent_report(text, "h1"));
    }
    CHECK_FALSE(parse_agent_report(std::string(agent_report_bytes_max + 1, ' '), "h1"));
}

TEST_CASE("agent answer: is JSON, with the order or null", "[agent]") {
    const auto idle = json::parse(encode_agent_answer(
        {.epoch = 7, .generation = 3, .events_to = 4, .wait_ms = 1'000, .status_ms = 10'000}));
    CHECK(idle == json{{"version", 1},
                       {"epoch", 7},
                       {"generation", 3},
                       {"desired", nullptr},
                       {"events_to", 4},
                       {"wait_ms", 1'000},
                       {"status_ms", 10'000}});
    OrderHost order;
    order.desired.epoch = 7;
    order.desired.services["web"].run = api::Wanted{ArtifactId{"web", "1.2"}, std::nullopt, 0};
    const auto told = json::parse(encode_agent_answer({.epoch = 7, .order = &order}));
    CHECK(told["desired"]["services"]["web"]["run"]["artifact"] == "web@1.2");
}

} // namespace slipway::orchestrator
