#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include "tests/orchestrator/judge_fixture.h"

namespace slipway::orchestrator::judge {
namespace {

std::vector<Reading> any_readings() {
    std::vector<Reading> readings;
    for (int i = *rc::gen::inRange(0, 12); i > 0; --i) {
        Reading one;
        one.host = *rc::gen::inRange(0U, 8U);
        one.metric = *rc::gen::inRange(0U, 3U);
        one.at_ms = *rc::gen::inRange<std::uint64_t>(0, 50);
        one.running_s = *rc::gen::inRange<std::uint64_t>(0, 400);
        one.process = *rc::gen::inRange<std::uint64_t>(0, 3);
        one.amount = *rc::gen::element(0.0, 1.0, 50.0, 1e15, 1e-300, -1.0, no_number,
                                       std::numeric_limits<double>::infinity());
        one.exposure = *rc::gen::element(0.0, 1.0, 1e6, 1e15, 1e300, -1.0, no_number);
        readings.push_back(one);
    }
    return readings;
}

TEST_CASE("judge: whatever hosts say, numbers stay numbers and a restart changes nothing",
          "[judge]") {
    CHECK(rc::check([] {
        auto limited = errors();
        limited.name = "limited";
        limited.limit = 0.5;
        limited.cumulative = true;
        const auto plan = plan_of(3, {latency(), errors(), limited});
        auto through = begin(plan);
        auto restarted = begin(plan);
        bool failed = false;
        for (int i = *rc::gen::inRange(1, 15); i > 0; --i) {
            const auto readings = any_readings();
            const auto judged = look(plan, through, readings);
            const auto again = look(plan, restarted, readings);
            RC_ASSERT(sentence(judged) == sentence(again));
            const auto bytes = encode(plan, restarted);
            auto decoded = decode(plan, bytes);
            RC_ASSERT(decoded.has_value());
            restarted = *decoded;
            RC_ASSERT(encode(plan, restarted) == bytes);
            RC_ASSERT(!failed || judged.verdict == Verdict::fail);
            failed = judged.verdict == Verdict::fail;
        }
    }));
}

TEST_CASE("judge: whom the readings name does not matter, only which group they are of",
          "[judge]") {
    CHECK(rc::check([](std::uint16_t seed) {
        const auto plan = plan_of(4, {latency(), errors()});
        const auto order = *rc::gen::map(rc::gen::just(0), [seed](int) {
            std::vector<std::uint32_t> hosts{0, 1, 2, 3, 4, 5, 6, 7};
            std::mt19937 random(seed);
            std::shuffle(hosts.begin(), hosts.begin() + 4, random);
            std::shuffle(hosts.begin() + 4, hosts.end(), random);
            return hosts;
        });
        auto one = begin(plan);
        auto other = begin(plan);
        Latencies world(seed);
        for (std::uint64_t i = 1; i < 20; ++i) {
            std::vector<Reading> readings;
            for (std::uint32_t host = 0; host < 8; ++host) {
                readings.push_back({.host = host, .at_ms = i, .amount = world.of(host)});
                readings.push_back({.host = host,
                                    .metric = 1,
                                    .at_ms = i,
                                    .amount = world.poisson(1),
                                    .exposure = 100});
            }
            const auto judged = look(plan, one, readings);
            for (auto& reading : readings) {
                reading.host = order[reading.host];
            }
            RC_ASSERT(look(plan, other, readings).verdict == judged.verdict);
        }
    }));
}

TEST_CASE("judge: without readings of a group nothing is decided", "[judge]") {
    CHECK(rc::check([](bool canary_is_dark) {
        const auto plan = plan_of(3, {latency(), errors()});
        auto state = begin(plan);
        for (int i = *rc::gen::inRange(1, 20); i > 0; --i) {
            auto readings = any_readings();
            std::erase_if(readings,
                          [&](const Reading& one) { return (one.host < 3) == canary_is_dark; });
            RC_ASSERT(look(plan, state, readings).verdict == Verdict::not_enough_evidence);
        }
    }));
}

} // namespace
} // namespace slipway::orchestrator::judge
