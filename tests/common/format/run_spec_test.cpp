#include "common/format/run_spec.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/format/manifest.h"
#include "common/trust/canonical_json.h"

namespace slipway {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view full = R"({
    "version": 1,
    "unit": {"name": "web.service", "action": "reload", "timeout": "30s"},
    "hooks": {
        "pre-switch": {"argv": ["hooks/check", "--fast"], "deadline": "5m", "memory": "256M",
                       "output": "4K", "tasks": 16},
        "on-rollback": {"argv": ["/usr/bin/true"]}
    },
    "probes": [
        {"type": "http", "url": "http://127.0.0.1:8080/healthz", "interval": "500ms",
         "timeout": "1s", "successes": 3, "failures": 5, "start_period": "30s"},
        {"type": "tcp", "address": "127.0.0.1:8080"},
        {"type": "exec", "argv": ["hooks/probe"], "timeout": "3s", "memory": "64M"},
        {"type": "systemd"},
        {"type": "metric", "url": "http://127.0.0.1:9100/metrics", "metric": "errors{code=\"5\"}",
         "max": "0.05"}
    ],
    "ready_within": "2m", "bake": "10m", "bake_restarts": 1
})";

RunSpec decoded(std::string_view text) {
    auto spec = decode_run_spec(as_bytes(text), "run.json");
    if (!spec) {
        FAIL(describe(spec.error()));
    }
    return *spec;
}

} // namespace

TEST_CASE("run spec: every key is read", "[run_spec]") {
    const auto spec = decoded(full);
    REQUIRE(spec.unit);
    CHECK(*spec.unit == RunUnit{"web.service", UnitAction::reload, 30s});
    REQUIRE(spec.hooks.size() == 2);
    const auto& check = spec.hooks.at(Hook::pre_switch);
    CHECK(check.argv == std::vector<std::string>{"hooks/check", "--fast"});
    CHECK(check.deadline == 5min);
    CHECK(check.memory_bytes == 256ULL << 20U);
    CHECK(check.output_bytes == 4096);
    CHECK(check.tasks == 16);
    REQUIRE(spec.probes.size() == 5);
    CHECK(spec.probes[0].interval == 500ms);
    CHECK(spec.probes[0].successes == 3);
    CHECK(spec.probes[0].failures == 5);
    CHECK(spec.probes[0].start_period == 30s);
    CHECK(spec.probes[2].program.deadline == 3s);
    CHECK(spec.probes[4].max == "0.05");
    CHECK(spec.ready_within == 2min);
    CHECK(spec.bake == 10min);
    CHECK(spec.bake_restarts == 1);
}

TEST_CASE("run spec: what is written is read, and has one form", "[run_spec]") {
    for (const auto text : {full, std::string_view(R"({"version":1})"),
                            std::string_view(R"({"version":1,"command":{"argv":["bin/web"],
                                                 "stop_timeout":"60s"}})")}) {
        const auto spec = decoded(text);
        const auto written = canonical_json(run_spec_json(spec));
        CHECK(decoded(written) == spec);
        CHECK(canonical_json(run_spec_json(decoded(written))) == written);
    }
}

TEST_CASE("run spec: what is wrong is refused, and the message names the key", "[run_spec]") {
    const std::vector<std::pair<std::string, std::string>> bad{
        {R"({})", "'version'"},
        {R"({"version":2})", "'version'"},
        {R"({"version":1,"hoks":{}})", "'hoks'"},
        {R"({"version":1,"unit":"web.service"})", "unit: is not an object"},
        {R"({"version":1,"unit":{"name":"web"}})", "unit: 'name'"},
        {R"({"version":1,"unit":{"name":"a.service","action":"stop"}})", "'action'"},
        {R"({"version":1,"unit":{"name":"a.service"},"command":{"argv":["x"]}})", "exclude"},
        {R"({"version":1,"hooks":{"pre-boot":{"argv":["x"]}}})", "'pre-boot'"},
        {R"({"version":1,"hooks":{"pre-stop":{"argv":[]}}})", "hooks: pre-stop: 'argv'"},
        {R"({"version":1,"hooks":{"pre-stop":{"argv":["../../bin/sh"]}}})", "'argv'"},
        {R"({"version":1,"hooks":{"pre-stop":{"argv":["x"],"deadline":"9"}}})", "'deadline'"},
        {R"({"version":1,"hooks":{"pre-stop":{"argv":["x"],"deadline":"8000d"}}})", "'deadline'"},
        {R"({"version":1,"hooks":{"pre-stop":{"argv":["x"],"memory":"1K"}}})", "'memory'"},
        {R"({"version":1,"hooks":{"pre-stop":{"argv":["x"],"tasks":0}}})", "'tasks'"},
        {R"({"version":1,"probes":[{"type":"icmp"}]})", "probe 1: 'type'"},
        {R"({"version":1,"probes":[{"type":"tcp","address":"8080"}]})", "'address'"},
        {R"({"version":1,"probes":[{"type":"http","url":"file:///etc/passwd"}]})", "'url'"},
        {R"({"version":1,"probes":[{"type":"systemd"}]})", "systemd probe"},
        {R"({"version":1,"probes":[{"type":"metric","url":"http://x/","metric":"m"}]})", "'max'"},
        {R"({"version":1,"probes":[{"type":"metric","url":"http://x/","metric":"m","max":"1e"}]})",
         "'max'"},
        {R"({"version":1,"probes":[{"type":"tcp","address":"x:1","successes":-1}]})",
         "'successes'"},
        {R"({"version":1,"bake":5})", "'bake'"},
        {R"([])", "not an object"},
        {std::string(run_spec_bytes_max + 1, ' '), "longer than"},
    };
    for (const auto& [text, part] : bad) {
        CAPTURE(text.substr(0, 200), part);
        const auto spec = decode_run_spec(as_bytes(text), "run.json");
        REQUIRE_FALSE(spec);
        CHECK(spec.error().code == Errc::verification_failed);
        CHECK(spec.error().context.find("run.json") != std::string::npos);
        CHECK(spec.error().context.find(part) != std::string::npos);
    }
}

TEST_CASE("durations and sizes: one text for each value, and back", "[run_spec]") {
    for (const auto& [text, value] : std::vector<std::pair<std::string, Milliseconds>>{
             {"0s", 0ms}, {"1500ms", 1500ms}, {"90s", 90s}, {"5m", 5min}, {"168h", 168h}}) {
        CHECK(parse_duration(text) == value);
        CHECK(duration_text(value) == text);
    }
    CHECK(parse_size("4K") == 4096U);
    CHECK(size_text(256ULL << 20U) == "256M");
    CHECK(size_text(0) == "0");
    for (const auto* const bad : {"", "s", "-1s", "1 s", "169h", "99999999999999999999s", "1.5s"}) {
        CHECK_FALSE(parse_duration(bad));
    }
    CHECK_FALSE(parse_size("2000000000G"));
}

TEST_CASE("manifest: says how the artifact runs, and stays as it was where it does not",
          "[run_spec]") {
    Manifest manifest;
    manifest.id = {"web", "2"};
    const auto without = encode_manifest(manifest);
    CHECK(without.find("run") == std::string::npos);
    CHECK(run_spec_of(manifest) == RunSpec{});

    manifest.unit = "web.service";
    CHECK(run_spec_of(manifest).unit == RunUnit{.name = "web.service"});

    manifest.unit.clear();
    manifest.run = decoded(full);
    const auto text = encode_manifest(manifest);
    const auto again = decode_manifest(as_bytes(text), "manifest");
    REQUIRE(again);
    CHECK(*again == manifest);
    CHECK(run_spec_of(*again) == *manifest.run);

    // "60s" and "1m" would be two forms of one manifest.
    auto other = text;
    other.replace(other.find("\"10m\""), 5, "\"600s\"");
    CHECK_FALSE(decode_manifest(as_bytes(other), "manifest"));
}

} // namespace slipway
