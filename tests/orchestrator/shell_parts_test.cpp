#include <catch2/catch.hpp>

#include "common/io/blocking.h"
#include "orchestrator/io/event_feed.h"
#include "orchestrator/io/held_polls.h"
#include "orchestrator/io/leadership.h"
#include "tests/orchestrator/sqlite_database.h"

using namespace slipway;
using namespace slipway::orchestrator;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

LogRecord record(std::uint64_t position, std::string body = "{}") {
    return {position, 1, "d1", "kind", std::move(body)};
}

net::awaitable<void> hold(HeldPolls& polls, std::string host, std::chrono::milliseconds limit,
                          std::stop_token stop, int& ended) {
    co_await polls.hold(std::move(host), limit, std::move(stop));
    ++ended;
}

net::awaitable<void> wait_beyond(EventFeed& feed, std::uint64_t position, std::stop_token stop,
                                 int& ended) {
    co_await feed.wait_beyond(position, 1h, std::move(stop));
    ++ended;
}

/// Takes the lease, and keeps it until it is lost or `stop`; counts terms.
net::awaitable<void> serve(Leadership& leadership, std::stop_token stop, int& terms, int& ended) {
    const auto lease = co_await leadership.campaign(stop);
    if (lease) {
        ++terms;
        co_await leadership.keep(lease->token, stop);
        ++ended;
    }
}

void poll_until(net::io_context& io, const std::function<bool()>& is_true) {
    const auto until = Clock::now() + 20s;
    while (!is_true()) {
        REQUIRE(Clock::now() < until);
        io.restart();
        io.run_for(10ms);
    }
}

} // namespace

TEST_CASE("event feed: a record is one server-sent event, whatever its body has", "[feed]") {
    const auto item = feed_item(record(7, "{\"a\":\n\r1}"));
    CHECK(*item.text == "id: 7\nevent: kind\ndata: {\"a\":  1}\n\n");
}

TEST_CASE("event feed: gives what is behind a position, and knows what it has forgotten",
          "[feed]") {
    EventFeed feed({.items = 3, .bytes = 1'000});
    feed.begin_at(10);
    CHECK(feed.covers(10));
    CHECK_FALSE(feed.covers(9));
    const std::vector<LogRecord> two{record(11), record(12)};
    feed.publish(two);
    CHECK(feed.last() == 12);
    REQUIRE(feed.after(10, 9).size() == 2);
    CHECK(feed.after(11, 9).front().position == 12);
    CHECK(feed.after(10, 1).size() == 1);
    CHECK(feed.after(12, 9).empty());
    const std::vector<LogRecord> more{record(13), record(14)};
    feed.publish(more);
    CHECK_FALSE(feed.covers(10));
    CHECK(feed.covers(11));
    const std::vector<LogRecord> large{record(15, std::string(2'000, 'x'))};
    feed.publish(large);
    CHECK_FALSE(feed.covers(14)); // Too large to be kept: it is read from the store.
    CHECK(feed.covers(15));
}

TEST_CASE("event feed: who waits is woken by a record, by wake_all and by a stop", "[feed]") {
    net::io_context io;
    EventFeed feed({});
    std::stop_source stop;
    int ended = 0;
    net::co_spawn(io, wait_beyond(feed, 0, stop.get_token(), ended), rethrow);
    io.poll();
    CHECK(ended == 0);
    const std::vector<LogRecord> one{record(1)};
    feed.publish(one);
    io.restart();
    io.poll();
    CHECK(ended == 1);
    net::co_spawn(io, wait_beyond(feed, 0, stop.get_token(), ended), rethrow); // There already.
    net::co_spawn(io, wait_beyond(feed, 1, stop.get_token(), ended), rethrow);
    io.restart();
    io.poll();
    CHECK(ended == 2);
    stop.request_stop();
    io.restart();
    io.poll();
    CHECK(ended == 3);
}

TEST_CASE("held polls: news of a host end its wait only; a newer request ends the older",
          "[polls]") {
    net::io_context io;
    HeldPolls polls;
    std::stop_source stop;
    int a = 0;
    int b = 0;
    net::co_spawn(io, hold(polls, "a", 1h, stop.get_token(), a), rethrow);
    net::co_spawn(io, hold(polls, "b", 1h, stop.get_token(), b), rethrow);
    io.poll();
    CHECK(polls.count() == 2);
    polls.wake("a");
    polls.wake("nobody");
    io.restart();
    io.poll();
    CHECK(a == 1);
    CHECK(b == 0);
    CHECK(polls.count() == 1);
    net::co_spawn(io, hold(polls, "b", 1h, stop.get_token(), b), rethrow);
    io.restart();
    io.poll();
    CHECK(b == 1);
    CHECK(polls.count() == 1);
    stop.request_stop();
    io.restart();
    io.poll();
    CHECK(b == 2);
    CHECK(polls.count() == 0);
    net::co_spawn(io, hold(polls, "a", 1h, stop.get_token(), a), rethrow);
    net::co_spawn(io, hold(polls, "a", 0ms, {}, a), rethrow);
    io.restart();
    io.poll();
    CHECK(a == 3); // Neither waits.
}

TEST_CASE("leadership: one drives; it gives the lease back when it stops, and the next has it",
          "[lease]") {
    const SqliteDatabase database;
    auto first_store = must(open_store(database.url()));
    auto second_store = must(open_store(database.url()));
    net::io_context io;
    Leadership first(*first_store, {.holder = "first"});
    Leadership second(*second_store, {.holder = "second"});
    std::stop_source stop_first;
    std::stop_source stop_second;
    int terms[2] = {};
    int ended[2] = {};
    net::co_spawn(io, serve(first, stop_first.get_token(), terms[0], ended[0]), rethrow);
    poll_until(io, [&] { return terms[0] == 1; });
    CHECK(first.is_held(Clock::now()));
    net::co_spawn(io, serve(second, stop_second.get_token(), terms[1], ended[1]), rethrow);
    poll_until(io, [&] { return second.holder() == "first"; });
    CHECK_FALSE(second.is_held(Clock::now()));
    stop_first.request_stop();
    const auto stopped = Clock::now();
    poll_until(io, [&] { return ended[0] == 1 && terms[1] == 1; });
    CHECK(Clock::now() - stopped < 2s); // Sooner than its time to live.
    CHECK_FALSE(first.is_held(Clock::now()));
    stop_second.request_stop();
    poll_until(io, [&] { return ended[1] == 1; });
}

TEST_CASE("leadership: a holder that is fenced, or cannot renew, ends its term", "[lease]") {
    const SqliteDatabase database;
    auto store = must(open_store(database.url()));
    net::io_context io;
    Leadership holder(*store, {.holder = "holder", .ttl = 300ms, .renew_each = 100ms});
    std::stop_source stop;
    int terms = 0;
    int ended = 0;
    net::co_spawn(io, serve(holder, stop.get_token(), terms, ended), rethrow);
    poll_until(io, [&] { return terms == 1; });
    io.restart();
    io.run_for(500ms);
    CHECK(holder.is_held(Clock::now())); // It is renewed.
    // The io thread stands still, as when the process was stopped: another takes over.
    const auto until = Clock::now() + 20s;
    while (must(store->acquire_lease("other", 1h)).holder != "other") {
        REQUIRE(Clock::now() < until);
    }
    CHECK_FALSE(holder.is_held(Clock::now()));
    poll_until(io, [&] { return ended == 1; });
    CHECK_FALSE(holder.is_held(Clock::now()));
}
