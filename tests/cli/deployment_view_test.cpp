#include "cli/deployment_view.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace slipway::cli;
using nlohmann::json;

namespace {

const json deployment = json::parse(R"({
    "id": "d000002", "service": "web", "environment": "prod", "artifact": "web@1.2",
    "from": {"artifact": "web@1.1"}, "phase": "baking", "paused": false, "by": "operator/ann",
    "why": "new look", "cause": "", "created_unix_ms": 1000000, "ended_unix_ms": null,
    "steps": {"ready": 1, "waiting": 3},
    "batches": [
        {"number": 1, "wave": "eu", "hosts": 1, "state": "baking", "steps": {"ready": 1},
         "gates": [{"name": "errors", "verdict": "hold", "why": "no data yet"}]},
        {"number": 2, "wave": "eu", "hosts": 3, "state": "waiting", "steps": {"waiting": 3}, "gates": []}],
    "waits_for": {"kind": "bake", "what": "the bake of batch 1", "until_unix_ms": 1090000,
                  "hosts": ["h1", "h2", "h3", "h4", "h5", "h6"], "hosts_in_all": 9,
                  "unblock": "slipway promote d000002"}})");

} // namespace

TEST_CASE("deployment view: a tree, and what it waits for and until when", "[view]") {
    const std::vector<std::string> expected{
        "d000002  web/prod  web@1.1 -> web@1.2  baking",
        "by operator/ann at 1970-01-01 00:16:40, for 60 s: new look",
        "waits for: the bake of batch 1 (until 1970-01-01 00:18:10, in 30 s at most); ends by: "
        "slipway promote d000002",
        "  hosts: h1, h2, h3, h4, h5 and 4 more",
        "hosts: 3 waiting, 1 ready",
        "├─ 1  eu        1 host      baking    1 ready",
        "│     gate errors        hold  no data yet",
        "└─ 2  eu        3 hosts     waiting   3 waiting"};
    CHECK(deployment_lines(deployment, 1'060'000) == expected);
}

TEST_CASE("deployment view: what is missing is left out", "[view]") {
    for (const auto* text : {"{}", "[]", "null", R"({"batches":[{}],"waits_for":{},"from":null})",
                             R"({"batches":7,"steps":[],"created_unix_ms":"x"})"}) {
        CAPTURE(text);
        CHECK_FALSE(deployment_lines(json::parse(text), 0).empty());
        CHECK_FALSE(plan_lines(json::parse(text)).empty());
        CHECK_FALSE(host_line(json::parse(text)).empty());
        CHECK_FALSE(history_line(json::parse(text)).empty());
        CHECK_FALSE(audit_line(json::parse(text)).empty());
    }
    CHECK(fleet_lines(json::array()).size() == 1);
}

TEST_CASE("plan view: batches with hosts in order, gates, and bytes", "[view]") {
    const auto plan = json::parse(R"({"id": "ab12", "service": "web", "environment": "prod",
        "artifact": "web@1.2", "from": null, "strategy": "canary", "changes": true, "blocked": "",
        "batches": [{"number": 1, "wave": "", "hosts": ["h2", "h1"], "bake_ms": 300000, "gates": ["errors"]}],
        "bytes": {"all_hosts": 2048, "largest_host": 1024}})");
    const std::vector<std::string> expected{
        "plan ab12  web/prod  nothing -> web@1.2  strategy canary",
        "batch 1            2 hosts     bake 5 min    gate errors", "    h2 h1",
        "to move: 2.0 KiB to all hosts, at most 1.0 KiB to one"};
    CHECK(plan_lines(plan) == expected);
}

TEST_CASE("duration text: in the two largest units that tell something", "[view]") {
    CHECK(duration_text(0) == "0 s");
    CHECK(duration_text(119'000) == "119 s");
    CHECK(duration_text(180'000) == "3 min");
    CHECK(duration_text(7'500'000) == "2 h 5 min");
    CHECK(duration_text(400'000'000) == "4 d");
}
