#include "agent/core/daemon_metrics.h"

#include <catch2/catch.hpp>

namespace slipway::agent {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("daemon_metrics: one state of a service is 1, and every other 0", "[metrics]") {
    InstallState state;
    state.phase = Phase::rolled_back;
    state.since_unix_s = 77;
    DaemonView view{
        .version = "1.2", .started_unix_s = 5, .sharing = {}, .rates = {}, .services = {}};
    view.sharing.peers = 3;
    view.services["web"] = {&state, std::nullopt};
    const auto text = daemon_metrics(view);
    CHECK_THAT(text,
               Contains("slipway_agent_service_state{service=\"web\",state=\"rolled-back\"} 1\n"));
    CHECK_THAT(text,
               Contains("slipway_agent_service_state{service=\"web\",state=\"healthy\"} 0\n"));
    CHECK_THAT(text, Contains("since_timestamp_seconds{service=\"web\"} 77\n"));
    CHECK_THAT(text, Contains("# TYPE slipway_agent_peers gauge\nslipway_agent_peers 3\n"));
    CHECK_THAT(text, !Contains("running_info{")); // Nothing runs.
}

TEST_CASE("daemon_metrics: what a label says cannot end it", "[metrics]") {
    DaemonView view{
        .version = "a\"b\\c\nd", .started_unix_s = 0, .sharing = {}, .rates = {}, .services = {}};
    CHECK_THAT(daemon_metrics(view),
               Contains("slipway_agent_build_info{version=\"a\\\"b\\\\c d\"} 1\n"));
}

} // namespace
} // namespace slipway::agent
