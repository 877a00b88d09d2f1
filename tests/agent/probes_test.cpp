#include "agent/io/probes.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "tests/fakes/plain_http_server.h"
#include "tests/scratch_directory.h"

namespace slipway::agent {
namespace {

using namespace std::chrono_literals;
using Outcome = ProbeResult::Outcome;

constexpr std::string_view exposition = "# HELP errors How many\n"
                                        "# TYPE errors counter\n"
                                        "errors_total 1\n"
                                        "errors{code=\"500\"} 0.25 1700000000000\n"
                                        "errors 3\n"
                                        "inf +Inf\nbroken x\n";

} // namespace

TEST_CASE("metric: the value of exactly that series", "[probes]") {
    CHECK(metric_value(exposition, "errors") == 3.0);
    CHECK(metric_value(exposition, "errors{code=\"500\"}") == 0.25);
    CHECK(std::isinf(*metric_value(exposition, "inf")));
    CHECK(metric_value(exposition, "error").error().code == Errc::not_found);
    CHECK(metric_value(exposition, "broken").error().code == Errc::verification_failed);
    CHECK(metric_value("", "errors").error().code == Errc::not_found);
}

TEST_CASE("probes: http, metric and tcp against a server", "[probes]") {
    fakes::PlainHttpServer server([](const fakes::HttpRequest& request) {
        return request.target == "/metrics"   ? fakes::ok(std::string(exposition))
               : request.target == "/healthz" ? fakes::ok("fine")
                                              : fakes::status(503, "Service Unavailable");
    });
    ProbeSpec http{.kind = ProbeKind::http, .url = server.url("/healthz")};
    CHECK(run_probe(http, {}, {}).outcome == Outcome::success);
    http.url = server.url("/down");
    const auto down = run_probe(http, {}, {});
    CHECK(down.outcome == Outcome::failure);
    CHECK(down.detail.find("503") != std::string::npos);
    std::stop_source stopped;
    stopped.request_stop();
    CHECK(run_probe(http, {}, stopped.get_token()).outcome == Outcome::unknown);

    ProbeSpec metric{
        .kind = ProbeKind::metric, .url = server.url("/metrics"), .metric = "errors", .max = "3"};
    CHECK(run_probe(metric, {}, {}).outcome == Outcome::success);
    metric.max = "2.9";
    CHECK(run_probe(metric, {}, {}).detail == "errors is 3.000000, above 2.9");
    metric.max.reset();
    metric.min = "4";
    CHECK(run_probe(metric, {}, {}).outcome == Outcome::failure);

    ProbeSpec tcp{.address = "127.0.0.1:" + std::to_string(server.port())};
    CHECK(run_probe(tcp, {}, {}).outcome == Outcome::success);
    tcp.address = "127.0.0.1:1"; // tcpmux: nothing listens there.
    const auto refused = run_probe(tcp, {}, {});
    CHECK(refused.outcome == Outcome::failure);
    CHECK(refused.detail == "connect to 127.0.0.1:1: Connection refused");
}

TEST_CASE("probes: exec runs in its release, and its output is the reason", "[probes]") {
    const tests::ScratchDirectory release;
    const HookRunner hooks;
    const ProbeContext context{
        .release = release.path(), .variables = {}, .unit = {}, .bus = {}, .hooks = &hooks};
    ProbeSpec probe{.kind = ProbeKind::exec};
    probe.program.argv = {"/bin/sh", "-c", "echo queue is full; test -e ready"};
    const auto failed = run_probe(probe, context, {});
    CHECK(failed.outcome == Outcome::failure);
    CHECK(failed.detail.find("queue is full") != std::string::npos);
    tests::write_file(release / "ready", "");
    CHECK(run_probe(probe, context, {}).outcome == Outcome::success);
    CHECK(run_probe(probe, {}, {}).outcome == Outcome::unknown);
}

TEST_CASE("probes: systemd without a bus proves nothing", "[probes]") {
    const tests::ScratchDirectory nowhere;
    const ProbeContext context{.release = {},
                               .variables = {},
                               .unit = "web.service",
                               .bus = "unix:path=" + (nowhere / "bus").string(),
                               .hooks = nullptr};
    const auto result = run_probe({.kind = ProbeKind::systemd}, context, {});
    CHECK(result.outcome == Outcome::unknown);
    CHECK(result.detail.find("connect to systemd over D-Bus") != std::string::npos);
}

} // namespace slipway::agent
