#include "agent/core/upstream_report.h"

#include <catch2/catch.hpp>

namespace slipway::agent {
namespace {

Release release(const std::string& version) {
    return {ArtifactId{"web", version}, sha256(as_bytes(version))};
}
InstallState healthy() {
    InstallState state;
    state.phase = Phase::healthy;
    state.running = release("1");
    state.good = release("1");
    state.desired.run = api::Wanted{ArtifactId{"web", "1"}, release("1").digest, 2};
    return state;
}
bool is_ready(const InstallState& state, const ServiceHealth& health = {}) {
    return service_report(state, health, 0).ready;
}

} // namespace

TEST_CASE("service report: says what runs, what is wanted and what failed", "[upstream]") {
    auto state = healthy();
    state.phase = Phase::rolled_back;
    state.desired.run->artifact.version = "2";
    state.quarantine = {{release("2"), 3, "probe: status 500"}, {release("0"), 1, "\xff"}};
    state.staged = {release("3")};
    state.last_error = std::string(4'000, 'e');
    const auto report = service_report(state, {false, 4, 5}, 77);
    CHECK(report.state == "rolled_back");
    CHECK(report.running == api::ServiceReport::Running{"web@1", release("1").digest, 77});
    CHECK(report.target == api::ServiceReport::Target{"web@2", release("1").digest, 2});
    CHECK(report.staged == std::vector{release("3").digest});
    // What is wanted comes last: it is what fit_sync_report() keeps.
    REQUIRE(report.bad.size() == 2);
    CHECK(report.bad[0].reason == "?");
    CHECK(report.bad[1] == api::ServiceReport::Bad{release("2").digest, 3, "probe: status 500"});
    CHECK(report.crashes == 4);
    CHECK(report.restarts == 5);
    CHECK(report.error.size() == api::sync_text_bytes_max);
    CHECK_FALSE(report.previous);
}

TEST_CASE("service report: a service is ready when what runs held its probe, and is left alone",
          "[upstream]") {
    auto state = healthy();
    CHECK(is_ready(state));
    CHECK_FALSE(is_ready(state, {.is_down = true}));
    CHECK_FALSE(is_ready(InstallState{}));
    const auto at = [&](Course course, std::size_t step) {
        auto working = state;
        working.work = Work{.course = course, .wanted = {}, .release = release("2"), .at = step};
        return working;
    };
    CHECK(is_ready(at(Course::ahead, 0)));
    for (std::size_t step = 0; step < steps_in(Course::forward); ++step) {
        const auto working = at(Course::forward, step);
        CAPTURE(to_string(working.work->step()));
        CHECK(is_ready(working) ==
              (working.work->step() == Step::stage || working.work->step() == Step::pre_switch));
    }
    auto baking = at(Course::forward, steps_in(Course::forward) - 1);
    baking.running = release("2");
    REQUIRE(baking.work->step() == Step::bake);
    CHECK(is_ready(baking)); // Its probe held; should it fail yet, the host says that it is bad.
    for (std::size_t step = 0; step < steps_in(Course::back); ++step) {
        CHECK_FALSE(is_ready(at(Course::back, step)));
    }
    state.good = release("0"); // It runs, and never held.
    CHECK_FALSE(is_ready(state));
    CHECK(service_report(state, {}, 0).previous->artifact == "web@0");
}

TEST_CASE("event text: names the release and the reason", "[upstream]") {
    CHECK(event_text({"healthy", release("1"), ""}) == "web@1 (" + release("1").id().text + ")");
    CHECK(event_text({"refused", std::nullopt, "old"}) == "old");
    CHECK_THAT(event_text({"failed", release("1"), "status 500"}),
               Catch::EndsWith("): status 500"));
}

} // namespace slipway::agent
