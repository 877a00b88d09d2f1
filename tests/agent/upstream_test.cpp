#include "agent/core/upstream.h"

#include <map>
#include <set>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

namespace slipway::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Upstream::TimePoint start{seconds(1'000)};

api::SyncAnswer idle(std::uint64_t epoch, std::uint64_t generation = 0) {
    return {.epoch = epoch,
            .generation = generation,
            .desired = std::nullopt,
            .wait_ms = 1'000,
            .status_ms = 1'000};
}
api::SyncAnswer order(std::uint64_t epoch, std::uint64_t generation) {
    auto answer = idle(epoch, generation);
    answer.desired = api::Desired{epoch, {}, generation};
    return answer;
}

// A host that is connected, at `now`, with nothing to tell.
Upstream connected(std::uint64_t epoch = 0, Upstream::TimePoint now = start) {
    Upstream upstream({.urls = 2}, epoch);
    const auto call = upstream.next(Line::held, now);
    REQUIRE(call);
    CHECK(upstream.answered(*call, idle(epoch), now).refused.empty());
    return upstream;
}

} // namespace

TEST_CASE("upstream: the first request wants an answer, the next are held as it says",
          "[upstream]") {
    Upstream upstream({.urls = 1}, 0);
    CHECK_FALSE(upstream.next(Line::urgent, start));
    const auto first = upstream.next(Line::held, start);
    REQUIRE(first);
    CHECK(first->hold == milliseconds(0));
    CHECK(first->with_events);
    CHECK_FALSE(upstream.is_connected());
    CHECK_FALSE(upstream.next(Line::held, start + seconds(9))); // One at a time.
    (void)upstream.answered(*first, idle(7), start + seconds(1));
    CHECK(upstream.is_connected());
    const auto second = upstream.next(Line::held, start + seconds(1));
    REQUIRE(second);
    CHECK(second->hold == milliseconds(1'000));
    CHECK_FALSE(second->with_events);
}

TEST_CASE("upstream: one that answers at once, or wants nothing held, is not asked in a circle",
          "[upstream]") {
    auto upstream = connected();
    auto now = start;
    int calls = 0;
    while (now < start + seconds(10)) {
        now = std::max(now, upstream.due(Line::held));
        const auto call = upstream.next(Line::held, now);
        REQUIRE(call);
        (void)upstream.answered(*call, idle(0), now);
        ++calls;
    }
    CHECK(calls <= 101);
    const auto call = upstream.next(Line::held, upstream.due(Line::held));
    REQUIRE(call);
    auto unheld = idle(0);
    unheld.wait_ms = 0;
    (void)upstream.answered(*call, unheld, now);
    CHECK(upstream.due(Line::held) == now + seconds(1));
}

TEST_CASE("upstream: whoever fails is left at once for the next, and all in vain for a while",
          "[upstream]") {
    Upstream upstream({.urls = 3}, 0);
    auto now = start;
    milliseconds last{0};
    for (int round = 0; round < 12; ++round) {
        std::set<std::size_t> asked;
        for (int i = 0; i < 3; ++i) {
            const auto call = upstream.next(Line::held, now);
            REQUIRE(call);
            asked.insert(call->url);
            upstream.failed(*call, now);
            if (i < 2) {
                CHECK(upstream.due(Line::held) <= now);
            }
        }
        CHECK(asked.size() == 3);
        const auto paused = std::chrono::ceil<milliseconds>(upstream.due(Line::held) - now);
        const auto most = std::min(milliseconds(250) * (1 << round), milliseconds(8'000));
        CHECK(paused >= most / 2);
        CHECK(paused <= most);
        last = paused;
        now = upstream.due(Line::held);
    }
    CHECK(last > seconds(3));
    const auto call = upstream.next(Line::held, now);
    REQUIRE(call);
    (void)upstream.answered(*call, idle(1), now);
    CHECK(upstream.is_connected());
    CHECK(upstream.url() == call->url);
}

TEST_CASE("upstream: hosts that lost the same orchestrator come back apart", "[upstream]") {
    std::set<milliseconds> pauses;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Upstream upstream({.urls = 1, .seed = seed * 1'234'567}, 0);
        const auto call = upstream.next(Line::held, start);
        upstream.failed(*call, start);
        pauses.insert(std::chrono::ceil<milliseconds>(upstream.due(Line::held) - start));
    }
    CHECK(pauses.size() > 50);
}

TEST_CASE("upstream: what changed is told at once, once, and by whatever goes first",
          "[upstream]") {
    auto upstream = connected();
    auto now = start + seconds(1);
    const auto held = upstream.next(Line::held, now);
    REQUIRE(held);
    CHECK_FALSE(upstream.next(Line::urgent, now));
    upstream.changed();
    upstream.changed();
    const auto urgent = upstream.next(Line::urgent, now);
    REQUIRE(urgent);
    CHECK(urgent->hold == milliseconds(0));
    CHECK(urgent->with_events);
    CHECK(urgent->revision > held->revision);
    (void)upstream.answered(*urgent, idle(0), now);
    CHECK(upstream.due(Line::urgent) == Upstream::TimePoint::max());
    // A request that is about to be held carries it as well.
    (void)upstream.answered(*held, idle(0), now);
    upstream.changed();
    REQUIRE(upstream.next(Line::held, now + seconds(1)));
    CHECK_FALSE(upstream.next(Line::urgent, now + seconds(1)));
}

TEST_CASE("upstream: what could not be told is told again", "[upstream]") {
    auto upstream = connected();
    REQUIRE(upstream.next(Line::held, start + seconds(1)));
    upstream.changed();
    const auto urgent = upstream.next(Line::urgent, start + seconds(1));
    REQUIRE(urgent);
    upstream.failed(*urgent, start + seconds(1));
    CHECK(upstream.is_connected());
    CHECK_FALSE(upstream.next(Line::urgent, start + seconds(1)));
    const auto again = upstream.next(Line::urgent, start + seconds(2));
    REQUIRE(again);
    CHECK(again->revision == urgent->revision);
}

TEST_CASE("upstream: an order is obeyed once, and told of when it was", "[upstream]") {
    auto upstream = connected();
    auto now = start + seconds(1);
    auto held = upstream.next(Line::held, now);
    CHECK(upstream.answered(*held, order(7, 3), now).obey);
    CHECK(upstream.epoch() == 7);
    CHECK(upstream.generation() == 0);
    CHECK_FALSE(upstream.next(Line::held, now)); // It would have to say that it does not have it.
    upstream.obeyed(7, 3);
    CHECK(upstream.generation() == 3);
    held = upstream.next(Line::held, now);
    REQUIRE(held);
    CHECK_FALSE(upstream.answered(*held, order(7, 3), now).obey);
    held = upstream.next(Line::held, now + seconds(1));
    REQUIRE(held);
    CHECK_FALSE(upstream.answered(*held, order(7, 2), now).obey);
    held = upstream.next(Line::held, now + seconds(2));
    REQUIRE(held);
    CHECK(upstream.answered(*held, order(8, 1), now + seconds(2)).obey);
    CHECK(upstream.epoch() == 8);
}

TEST_CASE("upstream: an order that the daemon could not keep is taken again", "[upstream]") {
    auto upstream = connected();
    auto held = upstream.next(Line::held, start + seconds(1));
    CHECK(upstream.answered(*held, order(7, 3), start + seconds(1)).obey);
    held = upstream.next(Line::held, start + seconds(2)); // Nothing was obeyed meanwhile.
    REQUIRE(held);
    CHECK(upstream.answered(*held, order(7, 3), start + seconds(2)).obey);
}

TEST_CASE("upstream: who is of an older epoch is refused and left", "[upstream]") {
    Upstream upstream({.urls = 2}, 9); // As it was read from the disk.
    const auto call = upstream.next(Line::held, start);
    const auto verdict = upstream.answered(*call, order(8, 100), start);
    CHECK_FALSE(verdict.obey);
    CHECK_THAT(verdict.refused, Catch::Contains("8") && Catch::Contains("9"));
    CHECK_FALSE(upstream.is_connected());
    CHECK(upstream.epoch() == 9);
    const auto other = upstream.next(Line::held, start);
    REQUIRE(other);
    CHECK(other->url != call->url);
    CHECK(upstream.answered(*other, order(9, 4), start).obey);
}

TEST_CASE("upstream: after a restart the same order is asked for, and obeyed, again",
          "[upstream]") {
    auto upstream = connected(7);
    CHECK(upstream.epoch() == 7);
    CHECK(upstream.generation() == 0);
    const auto held = upstream.next(Line::held, start + seconds(1));
    CHECK(upstream.answered(*held, order(7, 3), start + seconds(1)).obey);
}

TEST_CASE("upstream: an answer from an orchestrator that was left does not connect", "[upstream]") {
    auto upstream = connected(5);
    const auto held = upstream.next(Line::held, start + seconds(1));
    upstream.changed();
    const auto urgent = upstream.next(Line::urgent, start + seconds(1));
    CHECK_FALSE(upstream.answered(*urgent, idle(4), start + seconds(1)).refused.empty());
    CHECK_FALSE(upstream.is_connected());
    (void)upstream.answered(*held, idle(5), start + seconds(1));
    CHECK_FALSE(upstream.is_connected());
    const auto next = upstream.next(Line::held, start + seconds(2));
    REQUIRE(next);
    CHECK(next->url != held->url);
}

// Any answers and failures in any order, from orchestrators of which some are old.
TEST_CASE("upstream: whatever happens, orders only go forward and calls keep their rate",
          "[upstream]") {
    CHECK(rc::check([] {
        const auto urls = *rc::gen::inRange<std::size_t>(1, 4);
        const auto kept = *rc::gen::inRange<std::uint64_t>(0, 4);
        Upstream upstream({.urls = urls, .seed = *rc::gen::arbitrary<std::uint64_t>()}, kept);
        auto now = start;
        std::pair<std::uint64_t, std::uint64_t> obeyed{kept, 0};
        std::map<Line, UpstreamCall> flying;
        std::size_t calls = 0;
        const auto steps = *rc::gen::inRange(1, 200);
        for (int i = 0; i < steps; ++i) {
            const auto line = *rc::gen::element(Line::held, Line::urgent);
            switch (*rc::gen::inRange(0, 6)) {
            case 0:
                now += milliseconds(*rc::gen::inRange(0, 2'000));
                break;
            case 1:
                upstream.changed();
                break;
            case 2:
                if (flying.contains(line)) {
                    upstream.failed(flying.extract(line).mapped(), now);
                }
                break;
            case 3:
                if (flying.contains(line)) {
                    const auto answer = order(*rc::gen::inRange<std::uint64_t>(0, 6),
                                              *rc::gen::inRange<std::uint64_t>(0, 4));
                    const std::pair given(answer.epoch, answer.generation);
                    const auto verdict =
                        upstream.answered(flying.extract(line).mapped(), answer, now);
                    RC_ASSERT(verdict.refused.empty() == (answer.epoch >= obeyed.first));
                    if (verdict.obey) {
                        RC_ASSERT(given >= obeyed);
                        obeyed = given;
                        if (*rc::gen::arbitrary<bool>()) {
                            upstream.obeyed(given.first, given.second);
                        }
                    }
                    RC_ASSERT(upstream.epoch() == obeyed.first);
                }
                break;
            default:
                if (const auto call = upstream.next(line, now)) {
                    RC_ASSERT_FALSE(flying.contains(line));
                    RC_ASSERT(call->url < urls);
                    RC_ASSERT(line == Line::held || upstream.is_connected());
                    flying.emplace(line, *call);
                    ++calls;
                }
            }
        }
        // Of the held line one at once for each URL and each 100 ms, of the other each 20 ms.
        const auto passed = std::chrono::ceil<milliseconds>(now - start).count();
        RC_ASSERT(calls <= static_cast<std::size_t>(steps));
        RC_ASSERT(calls <= 4 * urls + 20 + static_cast<std::size_t>(passed / 10));
    }));
}

} // namespace slipway::agent
