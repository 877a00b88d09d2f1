#include "common/swarm/rate_gate.h"

#include <thread>
#include <vector>

#include <catch2/catch.hpp>

namespace slipway::swarm {
namespace {

using namespace std::chrono_literals;
const RateSchedule::TimePoint start{std::chrono::hours(1)};

} // namespace

TEST_CASE("rate schedule: what is asked for keeps to the rate, and a pause saves nothing up",
          "[rate]") {
    RateSchedule schedule;
    CHECK(schedule.take(UINT64_MAX, start) == start);
    schedule.set_rate(1'000);
    CHECK(schedule.take(500, start) == start);
    CHECK(schedule.take(2'000, start) == start + 500ms);
    CHECK(schedule.take(1, start + 1s) == start + 2'500ms);
    CHECK(schedule.take(1'000, start + 100s) == start + 100s);
    CHECK(schedule.take(1'000, start + 100s) == start + 101s);
    schedule.set_rate(1);
    CHECK(schedule.take(UINT64_MAX, start) == start);
    CHECK(schedule.take(1, start) == start + 24h);
    schedule.set_rate(0);
    CHECK(schedule.take(1, start) == start);
}

TEST_CASE("rate gate: several threads share a rate; a stop or another rate ends a wait", "[rate]") {
    RateGate gate;
    CHECK(gate.portion(8'000'000) == 8'000'000);
    gate.set_rate(1'000'000);
    CHECK(gate.portion(8'000'000) == 250'000);
    CHECK(gate.portion(100) == 100);
    const auto begin = std::chrono::steady_clock::now();
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                for (int portion = 0; portion < 5; ++portion) {
                    gate.pass(20'000, {});
                }
            });
        }
    }
    const auto took = std::chrono::steady_clock::now() - begin;
    CHECK(took >= 380ms); // 400 000 bytes, of which the last need not have passed.
    CHECK(took < 5s);
    gate.set_rate(1);
    gate.pass(1'000, {});
    std::stop_source stopped;
    stopped.request_stop();
    gate.pass(1'000, stopped.get_token());
    {
        const std::jthread other([&] { gate.set_rate(0); });
        gate.pass(1'000, {});
    }
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

} // namespace slipway::swarm
