#include "orchestrator/io/driver.h"

#include <condition_variable>
#include <mutex>

#include <catch2/catch.hpp>

#include "common/io/blocking.h"
#include "tests/orchestrator/sqlite_database.h"

using namespace slipway;
using namespace slipway::orchestrator;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

/// A store whose commits wait until they are let through, or fail.
class HeldStore final : public Store {
public:
    explicit HeldStore(std::unique_ptr<Store> store) : store_(std::move(store)) {}
    void hold(bool held) {
        const std::scoped_lock lock(mutex_);
        held_ = held;
        changed_.notify_all();
    }
    void fail_with(std::error_code code) { // Every commit, from now on.
        const std::scoped_lock lock(mutex_);
        fails_with_ = code;
    }
    [[nodiscard]] int commits() {
        const std::scoped_lock lock(mutex_);
        return commits_;
    }

    Result<Committed> commit(std::optional<std::uint64_t> token, const Changes& changes) override {
        std::unique_lock lock(mutex_);
        ++commits_;
        changed_.wait(lock, [this] { return !held_; });
        if (fails_with_) {
            return fail(*fails_with_, "as the test wants it");
        }
        return store_->commit(token, changes);
    }
    Result<std::uint64_t> last_position() override { return store_->last_position(); }
    Result<std::vector<LogRecord>> read_log(std::uint64_t after, std::size_t limit,
                                            std::optional<std::string> deployment) override {
        return store_->read_log(after, limit, deployment);
    }
    Result<Document> document(const std::string& collection, const std::string& key) override {
        return store_->document(collection, key);
    }
    Result<std::vector<Document>> documents(const std::string& collection, const std::string& after,
                                            std::size_t limit) override {
        return store_->documents(collection, after, limit);
    }
    Result<std::optional<KeptAnswer>> answer(const std::string& scope, const std::string& key,
                                             std::int64_t now) override {
        return store_->answer(scope, key, now);
    }
    Result<Lease> acquire_lease(const std::string& holder, std::chrono::milliseconds ttl) override {
        return store_->acquire_lease(holder, ttl);
    }
    Result<Lease> renew_lease(std::uint64_t token, std::chrono::milliseconds ttl) override {
        return store_->renew_lease(token, ttl);
    }
    Result<> release_lease(std::uint64_t token) override { return store_->release_lease(token); }
    Result<> add_events(const std::vector<HostEvent>& events) override {
        return store_->add_events(events);
    }
    Result<std::vector<HostEvent>> events(std::uint64_t after, std::size_t limit,
                                          std::optional<std::string> host) override {
        return store_->events(after, limit, host);
    }
    Result<std::vector<OutboxMessage>> outbox(const std::string& receiver, std::uint64_t after,
                                              std::size_t limit) override {
        return store_->outbox(receiver, after, limit);
    }
    Result<> sent(const std::string& receiver, std::uint64_t sequence) override {
        return store_->sent(receiver, sequence);
    }
    Result<> prune(const Prune& prune) override { return store_->prune(prune); }

private:
    std::unique_ptr<Store> store_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool held_ = false;
    std::optional<std::error_code> fails_with_;
    int commits_ = 0;
};

/// A driver over a database, with what it gave out.
struct Driven {
    SqliteDatabase database;
    HeldStore store{must(open_store(database.url()))};
    net::io_context io{1};
    net::thread_pool writer{1};
    std::vector<LogRecord> recorded;
    std::stop_source stop;
    bool is_over = false;
    Driver driver{
        io,
        store,
        writer,
        {.receivers = {},
         .now =
             [] {
                 return Instant{1'000, std::chrono::duration_cast<Milliseconds>(
                                           Clock::now().time_since_epoch())
                                           .count()};
             }},
        {.ordered = [](const std::string& /*host*/) {},
         .ask_gate = [](const AskGate& /*gate*/) {},
         .notified = [] {},
         .recorded =
             [this](const std::vector<LogRecord>& records) {
                 recorded.insert(recorded.end(), records.begin(), records.end());
             },
         .begun = [](std::uint64_t /*position*/) {},
         .committed = [](std::size_t /*records*/, std::chrono::duration<double> /*took*/) {}}};

    ~Driven() {
        store.hold(false);
        stop.request_stop();
        run_until([this] { return is_over; });
        writer.join();
    }
    static net::awaitable<void> drive(Driven& driven, Lease lease) {
        auto is_held = [] { return true; };
        const auto done =
            co_await driven.driver.drive(lease, std::move(is_held), driven.stop.get_token());
        CHECK(done);
        driven.is_over = true;
    }
    void begin(const std::string& holder) {
        is_over = false;
        const auto lease = must(store.acquire_lease(holder, 1h));
        net::co_spawn(io, drive(*this, lease), rethrow);
        run_until([this] { return driver.is_driving() && driver.position() > 0; });
    }
    void run_until(const std::function<bool()>& is_true) {
        const auto until = Clock::now() + 20s;
        while (!is_true()) {
            REQUIRE(Clock::now() < until);
            io.restart();
            io.run_for(5ms);
        }
    }
    /// Submits, and keeps the answer.
    std::shared_ptr<std::optional<Result<std::string>>> ask(Driver::Item item) {
        auto answer = std::make_shared<std::optional<Result<std::string>>>();
        item.done = [answer](const Result<std::string>& given) { *answer = given; };
        driver.submit(std::move(item));
        return answer;
    }
};

HostReport report_of(const std::string& host) {
    HostReport report;
    report.host = host;
    report.boot = "b";
    report.labels = {{"tier", "web"}};
    return report;
}

} // namespace

TEST_CASE("driver: nothing is answered, shown or ordered before it is durable", "[driver]") {
    Driven driven;
    driven.begin("a");
    driven.store.hold(true);
    const auto position = driven.driver.position();
    const auto seen = driven.ask({.event = report_of("h1")});
    const auto frozen = driven.ask({.event = PutFreeze{"all", "ann", ""}});
    bool was_looked = false;
    const auto look = driven.ask({.look = [&](const auto& /*answer*/, const FleetState& state) {
        was_looked = state.log.freezes.contains("all");
        return std::optional<KeptAnswer>();
    }});
    driven.run_until([&] { return driven.store.commits() >= 2; });
    CHECK_FALSE(*seen);
    CHECK_FALSE(*frozen);
    CHECK_FALSE(*look);
    CHECK(driven.driver.order("h1") == nullptr);
    CHECK(driven.driver.position() == position);
    driven.store.hold(false);
    driven.run_until([&] { return seen->has_value() && frozen->has_value() && look->has_value(); });
    CHECK(was_looked);
    REQUIRE(driven.driver.order("h1") != nullptr);
    CHECK(driven.driver.order("h1")->epoch == driven.driver.epoch());
    CHECK(must(driven.store.last_position()) == driven.driver.position());
    CHECK(driven.recorded.back().position == driven.driver.position());
}

TEST_CASE("driver: what comes while a commit is under way shares the next one", "[driver]") {
    Driven driven;
    driven.begin("a");
    driven.store.hold(true);
    const auto before = driven.store.commits();
    std::vector<std::shared_ptr<std::optional<Result<std::string>>>> answers;
    for (int i = 0; i < 100; ++i) {
        answers.push_back(driven.ask({.event = report_of("h" + std::to_string(i))}));
    }
    driven.run_until([&] { return driven.store.commits() == before + 1; });
    driven.store.hold(false);
    driven.run_until([&] {
        return std::ranges::all_of(answers, [](const auto& answer) { return answer->has_value(); });
    });
    CHECK(driven.store.commits() <= before + 3);
}

TEST_CASE("driver: a fenced commit ends the term and is refused", "[driver]") {
    Driven driven;
    driven.begin("a");
    driven.store.fail_with(StoreErrc::fenced);
    const auto refused = driven.ask({.event = PutFreeze{"all", "ann", ""}});
    driven.run_until([&] { return driven.is_over; });
    REQUIRE(refused->has_value());
    CHECK_FALSE(**refused);
    CHECK((**refused).error().code == StoreErrc::fenced);
    CHECK_FALSE(driven.driver.is_driving());
    const auto late = driven.ask({.event = PutFreeze{"all", "ann", ""}});
    CHECK((**late).error().code == StoreErrc::fenced);
}

TEST_CASE("driver: an answer is kept in the transaction of what it answers", "[driver]") {
    Driven driven;
    driven.begin("a");
    Driver::Item item;
    item.event = PutFreeze{"all", "ann", ""};
    item.look = [](const Result<std::string>& answer, const FleetState& /*state*/) {
        CHECK(answer);
        return std::optional(KeptAnswer{"ann", "key", "digest", 200, "{}", 1LL << 50U});
    };
    const auto answered = driven.ask(std::move(item));
    driven.run_until([&] { return answered->has_value(); });
    CHECK(must(driven.store.answer("ann", "key", 0))->body == "{}");
}
