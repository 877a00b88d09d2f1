#include "orchestrator/io/store.h"

#include <thread>

#include "tests/orchestrator/store_fixture.h"

using namespace slipway;
using namespace slipway::orchestrator;
using namespace std::chrono_literals;

namespace {

LogRecord record(const std::string& body, const std::string& deployment = "d1") {
    return {0, 1'700'000'000'000, deployment, "step", body};
}

Changes append(std::uint64_t after, std::vector<LogRecord> records) {
    Changes changes;
    changes.expected_position = after;
    changes.records = std::move(records);
    return changes;
}

Changes put(const std::string& key, std::optional<std::string> body,
            std::optional<std::uint64_t> revision = {}) {
    Changes changes;
    changes.documents.push_back({"hosts", key, std::move(body), revision});
    return changes;
}

} // namespace

#define ON_BOTH(name, tags) TEMPLATE_TEST_CASE(name, tags, Sqlite, Postgresql)

ON_BOTH("store: the log keeps records in order, whole and after reopening", "[store]") {
    TestType database;
    auto store = must(open_store(database.url()));
    const auto token = must(store->acquire_lease("a", 1h)).token;
    const std::string odd = "{\"t\":\"ä \\\" \\\\ \\u0001 'quoted' :x ? $1 \U0001F680\"}";
    CHECK(must(store->last_position()) == 0);
    CHECK(must(store->commit(token, append(0, {record("1"), record(odd, "d2")}))).last_position ==
          2);
    CHECK(must(store->commit(token, append(2, {record("3")}))).last_position == 3);
    store = must(open_store(database.url()));
    const auto all = must(store->read_log(0, 100));
    REQUIRE(all.size() == 3);
    CHECK(all[1].body == odd);
    CHECK(all[1].position == 2);
    CHECK(all[1].at_unix_ms == 1'700'000'000'000);
    CHECK(all[2].kind == "step");
    const auto one = must(store->read_log(0, 100, "d1"));
    REQUIRE(one.size() == 2);
    CHECK(one[1].position == 3);
    CHECK(must(store->read_log(1, 1)).front().position == 2);
    CHECK(must(store->read_log(1, 1)).size() == 1);
    CHECK(must(store->read_log(3, 1)).empty());
}

ON_BOTH("store: an append at another position than expected writes nothing", "[store]") {
    TestType database;
    auto store = must(open_store(database.url()));
    const auto token = must(store->acquire_lease("a", 1h)).token;
    must(store->commit(token, append(0, {record("1")})));
    auto changes = append(0, {record("2")});
    changes.documents.push_back({"hosts", "h", "{}", {}});
    CHECK(code_of(store->commit(token, changes)) == StoreErrc::conflict);
    CHECK(must(store->last_position()) == 1);
    CHECK(code_of(store->document("hosts", "h")) == Errc::not_found);
}

ON_BOTH("store: a conflict of one document takes back the records beside it", "[store]") {
    TestType database;
    auto store = must(open_store(database.url()));
    const auto token = must(store->acquire_lease("a", 1h)).token;
    auto changes = append(0, {record("1")});
    changes.documents.push_back({"hosts", "h", "{}", 7});
    CHECK(code_of(store->commit(token, changes)) == StoreErrc::conflict);
    CHECK(must(store->last_position()) == 0);
}

ON_BOTH("store: a stale holder's append is refused, also of documents", "[store]") {
    TestType database;
    auto old_store = must(open_store(database.url()));
    auto new_store = must(open_store(database.url()));
    const auto old = must(old_store->acquire_lease("old", 1ms));
    std::this_thread::sleep_for(5ms); // The lease's clock is the database's.
    const auto next = must(new_store->acquire_lease("new", 1h));
    CHECK(next.holder == "new");
    CHECK(next.token > old.token);
    CHECK(code_of(old_store->commit(old.token, append(0, {record("1")}))) == StoreErrc::fenced);
    CHECK(code_of(old_store->commit(old.token, put("h", "{}"))) == StoreErrc::fenced);
    CHECK(code_of(old_store->renew_lease(old.token, 1h)) == StoreErrc::fenced);
    CHECK(code_of(old_store->release_lease(old.token)) == StoreErrc::fenced);
    CHECK(must(new_store->last_position()) == 0);
    must(new_store->commit(next.token, append(0, {record("1")})));
}

ON_BOTH("lease: one holder at a time; renewed, given back, taken over", "[store]") {
    TestType database;
    auto store = must(open_store(database.url()));
    const auto first = must(store->acquire_lease("a", 1h));
    CHECK(first.token > 1'700'000'000'000); // Not below the time: see decision 0110.
    CHECK(must(store->acquire_lease("b", 1h)).holder == "a");
    CHECK(must(store->acquire_lease("a", 1h)).token == first.token);
    CHECK(must(store->renew_lease(first.token, 1h)).token == first.token);
    must(store->release_lease(first.token));
    CHECK(code_of(store->renew_lease(first.token, 1h)) == StoreErrc::fenced);
    const auto second = must(store->acquire_lease("b", 1h));
    CHECK(second.holder == "b");
    CHECK(second.token > first.token);
    CHECK(code_of(store->acquire_lease("", 1h)) == Errc::usage);
}

ON_BOTH("lease: a holder whose lease ran out gets a new token", "[store]") {
    TestType database;
    auto store = must(open_store(database.url()));
    const auto first = must(store->acquire_lease("a", 1ms));
    std::this_thread::sleep_for(5ms);
    CHECK(must(store->acquire_lease("a", 1h)).token > first.token);
}

ON_BOTH("store: records need a lease and a position", "[store]") {
    TestType database;
    auto store = must(open_store(database.url()));
    CHECK(code_of(store->commit({}, append(0, {record("1")}))) == Errc::usage);
    const auto token = must(store->acquire_lease("a", 1h)).token;
    auto changes = append(0, {record("1")});
    changes.expected_position.reset();
    CHECK(code_of(store->commit(token, changes)) == Errc::usage);
}

ON_BOTH("documents: compare-and-set, removal and unconditional puts", "[store]") {
    TestType database;
    auto store = must(open_store(database.url()));
    must(store->commit({}, put("h", "{\"a\":1}", 0)));
    CHECK(code_of(store->commit({}, put("h", "{}", 0))) == StoreErrc::conflict);
    must(store->commit({}, put("h", "{\"a\":2}", 1)));
    CHECK(code_of(store->commit({}, put("h", "{}", 1))) == StoreErrc::conflict);
    CHECK(must(store->document("hosts", "h")).revision == 2);
    must(store->commit({}, put("h", "{\"a\":3}")));
    CHECK(must(store->document("hosts", "h")).revision == 3);
    CHECK(must(store->document("hosts", "h")).body == "{\"a\":3}");
    CHECK(code_of(store->commit({}, put("h", {}, 2))) == StoreErrc::conflict);
    must(store->commit({}, put("h", {}, 3)));
    CHECK(code_of(store->document("hosts", "h")) == Errc::not_found);
    must(store->commit({}, put("never there", {})));
}

ON_BOTH("documents: a list is in bytewise order and comes in pages", "[store]") {
    TestType database;
    auto store = must(open_store(database.url()));
    for (const std::string key : {"b", "B", "ä", "a", "a-1", "a1"}) {
        must(store->commit({}, put(key, "{}")));
    }
    Changes other;
    other.documents.push_back({"services", "aa", "{}", {}});
    must(store->commit({}, other));
    std::string seen;
    for (std::string after;;) {
        const auto page = must(store->documents("hosts", after, 2));
        for (const auto& found : page) {
            seen += found.key + " ";
        }
        if (page.size() < 2) {
            break;
        }
        after = page.back().key;
    }
    CHECK(seen == "B a a-1 a1 b ä ");
}

ON_BOTH("answers: kept once, until they expire", "[store]") {
    TestType database;
    auto store = must(open_store(database.url()));
    constexpr std::int64_t far = 4'000'000'000'000;
    Changes changes;
    changes.answers.push_back({"alice", "k", "digest", 201, "{\"id\":1}", far});
    must(store->commit({}, changes));
    const auto kept = must(store->answer("alice", "k", 1));
    REQUIRE(kept);
    CHECK(kept->status == 201);
    CHECK(kept->body == "{\"id\":1}");
    CHECK(kept->request == "digest");
    CHECK_FALSE(must(store->answer("bob", "k", 1)));
    CHECK_FALSE(must(store->answer("alice", "k", far)));
    changes.documents.push_back({"hosts", "beside", "{}", {}});
    CHECK(code_of(store->commit({}, changes)) == StoreErrc::conflict);
    CHECK(code_of(store->document("hosts", "beside")) == Errc::not_found);
    changes.answers.front() = {"alice", "old", "x", 200, "{}", 5};
    must(store->commit({}, changes));
    changes.answers.front().status = 202;
    must(store->commit({}, changes)); // The first one had expired.
    must(store->prune({.now_unix_ms = 6, .events_before_unix_ms = 0}));
    CHECK_FALSE(must(store->answer("alice", "old", 1)));
    CHECK(must(store->answer("alice", "k", 1)));
}

ON_BOTH("events: told twice is kept once; bounded by age and count", "[store]") {
    TestType database;
    auto store = must(open_store(database.url()));
    std::vector<HostEvent> events;
    for (std::uint64_t id = 1; id <= 10; ++id) {
        events.push_back({0, "h1", "boot", id, static_cast<std::int64_t>(id * 100), "{}"});
    }
    must(store->add_events(events));
    events.push_back({0, "h2", "boot", 1, 5'000, "{\"x\":1}"});
    events.push_back({0, "h1", "set up anew", 1, 5'000, "{}"});
    events.push_back(events.back());
    must(store->add_events(events));
    CHECK(must(store->events(0, 100)).size() == 12);
    const auto of_two = must(store->events(0, 100, "h2"));
    REQUIRE(of_two.size() == 1);
    CHECK(of_two.front().body == "{\"x\":1}");
    const auto page = must(store->events(0, 5, "h1"));
    REQUIRE(page.size() == 5);
    CHECK(must(store->events(page.back().sequence, 100, "h1")).size() == 6);
    must(store->prune({.now_unix_ms = 0, .events_before_unix_ms = 300}));
    CHECK(must(store->events(0, 100, "h1")).front().id == 3);
    must(store->prune({.now_unix_ms = 0, .events_before_unix_ms = 0, .events_max = 4}));
    const auto left = must(store->events(0, 100));
    REQUIRE(left.size() == 4);
    CHECK(left.front().id == 9);
}

ON_BOTH("outbox: per receiver, in order, gone when sent", "[store]") {
    TestType database;
    auto store = must(open_store(database.url()));
    Changes changes;
    for (int number = 1; number <= 3; ++number) {
        changes.messages.push_back({0, "a", "id" + std::to_string(number), "{}", number});
        changes.messages.push_back({0, "b", "id" + std::to_string(number), "{}", number});
    }
    must(store->commit({}, changes));
    const auto first = must(store->outbox("a", 0, 2));
    REQUIRE(first.size() == 2);
    CHECK(first[0].id == "id1");
    CHECK(first[1].at_unix_ms == 2);
    must(store->sent("a", first[1].sequence));
    CHECK(must(store->outbox("a", 0, 10)).size() == 1);
    CHECK(must(store->outbox("b", 0, 10)).size() == 3);
}

ON_BOTH("store: what is beyond a bound is refused before it is written", "[store]") {
    TestType database;
    auto store = must(open_store(database.url(), {.body_bytes_max = 10, .changes_max = 3}));
    CHECK(code_of(store->commit({}, put("h", std::string(11, ' ')))) == Errc::usage);
    CHECK(code_of(store->commit({}, put(std::string(513, 'k'), "{}"))) == Errc::usage);
    CHECK(code_of(store->commit({}, put("h", "\xC0\x80"))) == Errc::usage);
    CHECK(code_of(store->commit({}, put("h", "\xED\xA0\x80"))) == Errc::usage);
    CHECK(code_of(store->commit({}, put("h", std::string(1, '\0')))) == Errc::usage);
    auto twice = put("h", "{}");
    twice.documents.push_back(twice.documents.front());
    CHECK(code_of(store->commit({}, twice)) == Errc::usage);
    auto many = put("1", "{}");
    for (const std::string key : {"2", "3", "4"}) {
        many.documents.push_back({"hosts", key, "{}", {}});
    }
    CHECK(code_of(store->commit({}, many)) == Errc::usage);
    CHECK(must(store->documents("hosts", "", 10)).empty());
}

ON_BOTH("store: ten thousand statuses are one commit", "[store]") {
    TestType database;
    auto store = must(open_store(database.url()));
    Changes changes;
    for (int host = 0; host < 10'000; ++host) {
        changes.documents.push_back(
            {"status", "host" + std::to_string(host), "{\"phase\":\"running\"}", {}});
    }
    must(store->commit({}, changes));
    must(store->commit({}, changes));
    CHECK(must(store->document("status", "host9999")).revision == 2);
    CHECK(must(store->documents("status", "", 20'000)).size() == 10'000);
}

TEST_CASE("store: URLs of other kinds are refused, and passwords are not said", "[store]") {
    CHECK(code_of(open_store("mysql://x")) == Errc::usage);
    CHECK(code_of(open_store("sqlite:")) == Errc::usage);
    CHECK(without_password("postgresql://u:se:cr@et@h:1/d?x=1") == "postgresql://u:***@h:1/d?x=1");
    CHECK(without_password("postgresql://u@h/d?password=secret&a=b") ==
          "postgresql://u@h/d?password=***&a=b");
    CHECK(without_password("postgresql://u@h/d") == "postgresql://u@h/d");
    for (const std::string url :
         {"postgresql://u:canary-7@127.0.0.1:1/d", "postgresql://u:canary-7@/d?host=/nowhere",
          "postgresql://u@127.0.0.1:1/d?password=canary-7",
          "postgresql://u:canary-7@h/d?no_such_setting=1", "postgresql://u:canary-7@[::/d",
          "postgresql://u:canary-7@127.0.0.1:port/d"}) {
        auto store = open_store(url);
        REQUIRE_FALSE(store);
        CAPTURE(describe(store.error()));
        CHECK(store.error().code == StoreErrc::unreachable);
        CHECK(describe(store.error()).find("canary") == std::string::npos);
    }
}
