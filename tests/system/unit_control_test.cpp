// Runs inside of a booted systemd (tests/system/run), as root: it writes units below /run.
#include "agent/io/unit_control.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <catch2/catch.hpp>

#include "agent/io/probes.h"
#include "common/core/errc.h"
#include "tests/scratch_directory.h"

namespace slipway::agent {
namespace {

using namespace std::chrono_literals;

/// Gives systemd a unit of this text.
RunUnit unit(const std::string& name, const std::string& service,
             UnitAction action = UnitAction::restart) {
    tests::write_file("/run/systemd/system/" + name, "[Service]\n" + service);
    REQUIRE(std::system("systemctl daemon-reload") == 0); // NOLINT(*-env33-c,*-mt-unsafe)
    return {.name = name, .action = action, .timeout = 10s};
}

UnitControl control() {
    auto opened = UnitControl::open();
    if (!opened) {
        FAIL(describe(opened.error()));
    }
    return std::move(*opened);
}

} // namespace

TEST_CASE("unit: a restart waits until it is active; stopping it is seen", "[unit]") {
    auto systemd = control();
    const auto web = unit("slipway-a.service", "Type=notify\nExecStart=/bin/sh -c 'sleep 0.3; "
                                               "systemd-notify --ready; exec sleep 1000'\n"
                                               "NotifyAccess=all\n");
    const auto first = systemd.apply(web, {});
    if (!first) {
        FAIL(describe(first.error()));
    }
    CHECK(first->active == "active");
    CHECK(first->sub == "running");
    CHECK_FALSE(first->health().failed);
    CHECK(systemd.apply(web, {}));
    const ProbeContext context{
        .release = {}, .variables = {}, .unit = web.name, .bus = {}, .hooks = nullptr};
    CHECK(run_probe({.kind = ProbeKind::systemd}, context, {}).outcome ==
          ProbeResult::Outcome::success);
    CHECK(systemd.stop(web, {}));
    CHECK(systemd.status(web.name)->active == "inactive");
    CHECK(run_probe({.kind = ProbeKind::systemd}, context, {}).outcome ==
          ProbeResult::Outcome::failure);
}

TEST_CASE("unit: one that does not come up is named with its result", "[unit]") {
    auto systemd = control();
    const auto bad =
        unit("slipway-b.service", "Type=notify\nExecStart=/bin/sh -c 'exit 3'\nRestart=no\n");
    const auto failed = systemd.apply(bad, {});
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == Errc::failed);
    const auto& why = failed.error().context;
    CAPTURE(why);
    CHECK(why.find("slipway-b.service: failed") != std::string::npos);
    CHECK(why.find("exit status 3") != std::string::npos);
    CHECK(why.find("journalctl -u slipway-b.service") != std::string::npos);
    CHECK(systemd.status(bad.name)->health().failed);
}

TEST_CASE("unit: one that hangs ends with the timeout, and a stop request at once", "[unit]") {
    auto systemd = control();
    auto hangs = unit("slipway-c.service", "Type=notify\nExecStart=/bin/sleep 1000\n");
    hangs.timeout = 500ms;
    const auto late = systemd.apply(hangs, {});
    REQUIRE_FALSE(late);
    CHECK(late.error().context == "slipway-c.service: its job did not end within 500ms");
    std::stop_source stop;
    stop.request_stop();
    hangs.timeout = 60s;
    CHECK(systemd.apply(hangs, stop.get_token()).error().code == Errc::cancelled);
    CHECK(systemd.stop(hangs, {}));
}

TEST_CASE("unit: a reload keeps the process, and starts what does not run", "[unit]") {
    auto systemd = control();
    const auto web = unit("slipway-d.service",
                          "ExecStart=/bin/sleep 1000\nExecReload=/bin/touch /run/slipway-d\n",
                          UnitAction::reload);
    CHECK(systemd.apply(web, {}));
    CHECK_FALSE(std::filesystem::exists("/run/slipway-d"));
    CHECK(systemd.apply(web, {}));
    CHECK(std::filesystem::exists("/run/slipway-d"));
    CHECK(systemd.stop(web, {}));
}

TEST_CASE("unit: restarts by systemd are counted for the bake", "[unit]") {
    auto systemd = control();
    const auto flaps = unit("slipway-e.service", "ExecStart=/bin/sleep 1000\nRestart=always\n"
                                                 "RestartSec=10ms\n");
    REQUIRE(systemd.apply(flaps, {}));
    RunSpec spec;
    spec.unit = flaps;
    spec.bake = 1h;
    const auto now = std::chrono::steady_clock::now();
    ProbeVerdict verdict(spec, now);
    verdict.unit_seen(systemd.status(flaps.name)->health(), now);
    REQUIRE(verdict.state() == ProbeVerdict::State::baking);
    REQUIRE(std::system("systemctl kill -s KILL slipway-e.service") == 0); // NOLINT
    while (systemd.status(flaps.name)->restarts == 0) {
        std::this_thread::sleep_for(20ms);
    }
    verdict.unit_seen(systemd.status(flaps.name)->health(), now + 1s);
    CHECK(verdict.state() == ProbeVerdict::State::failed);
    CHECK(verdict.reason().find("restarted 1 times while it baked") == 0);
    CHECK(systemd.stop(flaps, {}));
}

TEST_CASE("unit: one that does not exist is not found; stopping it is done", "[unit]") {
    auto systemd = control();
    const RunUnit none{.name = "slipway-none.service", .timeout = 5s};
    CHECK(systemd.status(none.name).error().code == Errc::not_found);
    CHECK(systemd.apply(none, {}).error().code == Errc::not_found);
    CHECK(systemd.stop(none, {}));
}

} // namespace slipway::agent
