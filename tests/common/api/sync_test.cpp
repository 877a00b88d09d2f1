#include "common/api/sync.h"

#include <cmath>
#include <functional>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <rapidcheck.h>

#include "common/core/errc.h"

namespace slipway::api {
namespace {

using nlohmann::json;

const std::string digest(64, 'a');

json whole() {
    return json::parse(
        R"({"version":1,"boot":"00000000000000aa","number":2,"epoch":7,"generation":3,"wait_ms":1000,
        "labels":{"tier":"web"},
        "services":{"web":{"state":"healthy","running":{"artifact":"web@1.2","digest":")" +
        digest + R"(","since_ms":5},"previous":{"artifact":"web@1.1","digest":null},
        "target":{"artifact":"web@1.2","digest":null,"attempt":3},"staged":[")" +
        digest + R"("],"ready":true,"bad":[{"digest":")" + digest +
        R"(","attempt":2,"reason":"probe"}],"crashes":1,"restarts":2,"error":"e"}},
        "metrics":[{"service":"web","name":"errors","kind":"count","amount":1.5,"exposure":100,
                    "buckets":[1,2.5],"running_s":9,"process":4}],
        "events":{"stream":"ab","items":[{"id":4,"at_ms":5,"service":"web","kind":"k","text":"t"}]},
        "new":{"field":1}})");
}

Result<SyncReport> parse(const json& body) {
    return decode_sync_report(body.dump());
}

// Bytes as an error may have them: file names, output of hooks.
std::string any_text(int bytes_max) {
    const auto part = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
    const auto bytes = static_cast<std::size_t>(*rc::gen::inRange(0, bytes_max));
    std::string text;
    while (!part.empty() && text.size() < bytes) {
        text += part;
    }
    return text;
}

Sha256Digest any_digest() {
    return sha256(as_bytes(std::to_string(*rc::gen::inRange(0, 1'000))));
}

SyncReport any_report() {
    SyncReport report;
    report.boot = "00000000000000aa";
    report.stream = "ab";
    const auto services = *rc::gen::element<std::size_t>(0, 1, 2, 5);
    const auto text = any_text(1'500);
    const auto bad = *rc::gen::inRange<std::size_t>(0, 20);
    for (std::size_t i = 0; i < services; ++i) {
        auto& service = report.services["s" + std::to_string(i)];
        service.state = "rolled_back";
        service.running = {.artifact = "web@1", .digest = any_digest(), .since_ms = 5};
        service.bad.assign(bad, {any_digest(), 1, text});
        service.error = text;
    }
    const auto metrics = *rc::gen::element<std::size_t>(0, 3, 40);
    report.metrics.assign(metrics, {.service = "s0", .name = "errors", .kind = "count"});
    const auto events = *rc::gen::inRange<std::size_t>(0, 30);
    for (std::size_t i = 0; i < events; ++i) {
        report.events.push_back({i + 1, 5, "s0", "service.state", text});
    }
    return report;
}

} // namespace

TEST_CASE("sync report: all that is said is read", "[api]") {
    const auto report = parse(whole());
    REQUIRE(report);
    CHECK(report->number == 2);
    CHECK(report->epoch == 7);
    CHECK(report->labels == std::map<std::string, std::string>{{"tier", "web"}});
    const auto& web = report->services.at("web");
    CHECK(web.ready);
    CHECK(web.running->artifact == "web@1.2");
    CHECK(web.running->digest->hex() == digest);
    CHECK(web.running->since_ms == 5);
    CHECK(web.previous == ServiceReport::Running{"web@1.1", std::nullopt, 0});
    CHECK(web.target == ServiceReport::Target{"web@1.2", std::nullopt, 3});
    CHECK(web.staged.size() == 1);
    CHECK(web.bad.at(0).attempt == 2);
    CHECK(web.bad.at(0).reason == "probe");
    CHECK(web.crashes == 1);
    REQUIRE(report->metrics.size() == 1);
    CHECK(report->metrics[0].kind == "count");
    CHECK(report->metrics[0].amount == 1.5);
    CHECK(report->metrics[0].buckets == std::vector<double>{1, 2.5});
    CHECK(report->stream == "ab");
    CHECK(report->events == std::vector<AgentEvent>{{4, 5, "web", "k", "t"}});
}

TEST_CASE("sync report: what is missing is nothing, and a wait is bounded", "[api]") {
    const auto report = parse({{"version", 1}, {"wait_ms", 99'999}, {"labels", nullptr}});
    REQUIRE(report);
    CHECK(report->wait_ms == sync_wait_ms_max);
    CHECK(report->services.empty());
    auto body = whole();
    body["metrics"][0].erase("amount");
    body["metrics"][0]["exposure"] = "many";
    CHECK(std::isnan(parse(body)->metrics[0].amount));
    CHECK(std::isnan(parse(body)->metrics[0].exposure));
}

TEST_CASE("sync report: what is malformed or beyond a bound is refused with its field", "[api]") {
    const auto refusal = [](const std::function<void(json&)>& change) {
        auto body = whole();
        change(body);
        const auto report = parse(body);
        REQUIRE_FALSE(report);
        CHECK(report.error().code == Errc::usage);
        return report.error().context;
    };
    const auto web = [](json& body) -> json& { return body["services"]["web"]; };
    using Catch::Contains;
    CHECK_THAT(refusal([](json& b) { b["version"] = 2; }), Contains("version 1"));
    CHECK_THAT(refusal([](json& b) { b["epoch"] = -1; }), Contains("epoch"));
    CHECK_THAT(refusal([](json& b) { b["labels"]["x"] = 1; }), Contains("labels"));
    CHECK_THAT(refusal([](json& b) { b["services"]["../x"] = json::object(); }),
               Contains("services"));
    CHECK_THAT(refusal([&](json& b) { web(b)["staged"] = {"zz"}; }), Contains("staged"));
    CHECK_THAT(refusal([&](json& b) { web(b)["bad"] = {1}; }), Contains("bad.digest"));
    CHECK_THAT(refusal([&](json& b) { web(b)["bad"][0]["attempt"] = 1ULL << 32U; }),
               Contains("attempt"));
    CHECK_THAT(refusal([&](json& b) { web(b)["target"]["digest"] = "z"; }), Contains("target"));
    CHECK_THAT(refusal([&](json& b) { web(b)["state"] = std::string(2'000, 'x'); }),
               Contains("state"));
    CHECK_THAT(refusal([](json& b) { b["metrics"] = json(1'025, json::object()); }),
               Contains("metrics"));
    CHECK_THAT(refusal([](json& b) { b["events"]["items"] = json(257, json::object()); }),
               Contains("items"));
    for (const auto* text : {"", "[]", "{", "{\"version\":\"1\"}", "null"}) {
        CHECK_FALSE(decode_sync_report(text));
    }
    CHECK_FALSE(decode_sync_report(std::string(sync_body_bytes_max + 1, ' ')));
}

TEST_CASE("sync report: what is encoded is read as it was", "[api]") {
    auto report = *parse(whole());
    const auto again = decode_sync_report(encode_sync_report(report));
    REQUIRE(again);
    CHECK(again->services == report.services);
    CHECK(again->events == report.events);
    CHECK(again->metrics.at(0).buckets == report.metrics.at(0).buckets);
    CHECK(again->number == 2);
    CHECK(again->wait_ms == 1'000);
    CHECK(encode_sync_report(*again) == encode_sync_report(report));
}

TEST_CASE("sync report: whatever a host has, its report fits and is taken", "[api]") {
    CHECK(rc::check([] {
        auto report = any_report();
        const auto before = report;
        const auto room = *rc::gen::element<std::size_t>(8'000, 30'000, sync_body_bytes_max);
        fit_sync_report(report, room);
        const auto text = encode_sync_report(report);
        RC_ASSERT(text.size() <= room);
        const auto taken = decode_sync_report(text);
        RC_ASSERT(bool(taken));
        // The first events go first, and none is passed over.
        RC_ASSERT(taken->events.size() <= before.events.size());
        for (std::size_t i = 0; i < taken->events.size(); ++i) {
            RC_ASSERT(taken->events[i].id == before.events[i].id);
        }
        // What decides stays, whatever is left out: what runs, and what failed last.
        for (const auto& [name, service] : taken->services) {
            RC_ASSERT(service.running == before.services.at(name).running);
            RC_ASSERT(service.bad.empty() == before.services.at(name).bad.empty());
        }
    }));
}

TEST_CASE("sync report: events are not starved by a long report", "[api]") {
    SyncReport report;
    for (std::size_t i = 0; i < sync_services_max + 5; ++i) {
        auto& service = report.services["s" + std::to_string(i)];
        service.bad.assign(sync_releases_max, {sha256(as_bytes("x")), 1, std::string(1'000, 'r')});
    }
    report.metrics.assign(sync_metrics_max + 1, {.service = "s0", .name = "e", .kind = "count"});
    report.events.assign(10, {1, 5, "s", "service.state", "moved"});
    fit_sync_report(report);
    CHECK(decode_sync_report(encode_sync_report(report)));
    CHECK(report.services.size() == sync_services_max);
    CHECK(report.events.size() == 10);
}

TEST_CASE("sync text: is UTF-8 and within its bound, whatever it was", "[api]") {
    CHECK(sync_text("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x9a\xa2") ==
          "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x9a\xa2");
    CHECK(sync_text("a\xff\xc3") == "a??");
    CHECK(sync_text("\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80") == "?????????");
    CHECK(sync_text("abc\xe2\x82\xac", 4) == "abc");
    CHECK(rc::check([] {
        const auto text = sync_text(any_text(1'200));
        RC_ASSERT(text.size() <= sync_text_bytes_max);
        RC_ASSERT_FALSE(json::parse(json(text).dump(), nullptr, false).is_discarded());
    }));
}

TEST_CASE("sync answer: is JSON, with the order or null", "[api]") {
    const SyncAnswer idle{.epoch = 7,
                          .generation = 3,
                          .desired = std::nullopt,
                          .events_to = 4,
                          .wait_ms = 1'000,
                          .status_ms = 10'000};
    CHECK(json::parse(encode_sync_answer(idle)) == json{{"version", 1},
                                                        {"epoch", 7},
                                                        {"generation", 3},
                                                        {"desired", nullptr},
                                                        {"events_to", 4},
                                                        {"wait_ms", 1'000},
                                                        {"status_ms", 10'000}});
    CHECK(decode_sync_answer(as_bytes(encode_sync_answer(idle)), "answer") == idle);
    auto order = idle;
    order.desired = Desired{7, {}, 3};
    order.desired->services["web"].run = Wanted{ArtifactId{"web", "1.2"}, std::nullopt, 0};
    CHECK(decode_sync_answer(as_bytes(encode_sync_answer(order)), "answer") == order);
}

TEST_CASE("sync answer: one that contradicts itself or is malformed is refused", "[api]") {
    SyncAnswer order{.epoch = 7, .desired = Desired{6, {}}};
    const auto refused = decode_sync_answer(as_bytes(encode_sync_answer(order)), "the answer");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::verification_failed);
    CHECK_THAT(refused.error().context, Catch::Contains("the answer") && Catch::Contains("epoch"));
    for (const std::string_view text :
         {"", "[]", "{\"version\":2}", "{\"version\":1,\"epoch\":-1}",
          "{\"version\":1,\"epoch\":1,\"desired\":{\"version\":1,\"epoch\":1}}"}) {
        CAPTURE(text);
        CHECK_FALSE(decode_sync_answer(as_bytes(text), "the answer"));
    }
    const auto long_wait = decode_sync_answer(
        as_bytes(std::string_view("{\"version\":1,\"epoch\":1,\"wait_ms\":99999999}")), "a");
    REQUIRE(long_wait);
    CHECK(long_wait->wait_ms == sync_wait_ms_max);
}

} // namespace slipway::api
