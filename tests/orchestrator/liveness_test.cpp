#include "orchestrator/core/liveness.h"

#include <catch2/catch.hpp>

namespace slipway::orchestrator {
namespace {

using namespace std::chrono_literals;
using TimePoint = Liveness::TimePoint;

/// Calls check() every 100 ms, as the shell does, and keeps when a host was lost.
struct Watched {
    Liveness liveness{{}, TimePoint{}};
    TimePoint now{};
    std::vector<std::pair<std::string, TimePoint>> lost;

    void run_until(TimePoint end) {
        while (now < end) {
            now += 100ms;
            for (auto& host : liveness.check(now)) {
                lost.emplace_back(std::move(host), now);
            }
        }
    }
};

} // namespace

TEST_CASE("liveness: a silent host is lost within 3 s of its last sign of life", "[liveness]") {
    for (const auto dies_after_answer : {0ms, 300ms, 999ms}) {
        CAPTURE(dies_after_answer.count());
        Watched watched;
        watched.run_until(TimePoint{} + 20s);
        // Its request waits here for a second; the host dies meanwhile.
        watched.liveness.heard("web-1", watched.now + 1s);
        const auto died = watched.now + dies_after_answer;
        watched.run_until(watched.now + 1s);
        watched.liveness.answered("web-1", watched.now);
        watched.run_until(watched.now + 5s);
        REQUIRE(watched.lost.size() == 1);
        CHECK(watched.lost.front().second - died <= 3s);
        CHECK(watched.liveness.is_lost("web-1"));
        CHECK(watched.liveness.heard("web-1", watched.now + 1s)); // Back.
        CHECK_FALSE(watched.liveness.is_lost("web-1"));
    }
}

TEST_CASE("liveness: a host whose request waits here is not lost", "[liveness]") {
    Watched watched;
    watched.run_until(TimePoint{} + 20s);
    watched.liveness.heard("web-1", watched.now + 30s);
    watched.run_until(watched.now + 29s);
    CHECK(watched.lost.empty());
}

TEST_CASE("liveness: nobody is lost because this side restarted or stalled", "[liveness]") {
    Watched watched;
    watched.liveness.expect("web-1");
    watched.liveness.expect("web-2");
    watched.run_until(TimePoint{} + 9s);
    CHECK(watched.lost.empty());
    watched.liveness.heard("web-1", watched.now);
    watched.liveness.heard("web-2", watched.now);
    watched.now += 30s; // Stalled: nothing was heard, nothing was checked.
    watched.run_until(watched.now + 5s);
    CHECK(watched.lost.empty());
    watched.liveness.heard("web-1", watched.now + 20s);
    watched.run_until(watched.now + 7s);
    REQUIRE(watched.lost.size() == 1); // web-2 did not come back in its grace.
    CHECK(watched.lost.front().first == "web-2");
}

} // namespace slipway::orchestrator
