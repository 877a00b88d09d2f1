// kill -9 of processes that write, of the server that they write to, and races for the lease.
#include <csignal>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "orchestrator/io/sql.h"
#include "orchestrator/io/store.h"
#include "tests/orchestrator/store_fixture.h"

using namespace slipway;
using namespace slipway::orchestrator;
using namespace std::chrono_literals;

namespace {

/// CI samples what the nightly run (SLIPWAY_TEST_LONG) does in full: a kill costs the start of a
/// process, which takes a second on a busy machine.
int rounds(int nightly, int ci) {
    return std::getenv("SLIPWAY_TEST_LONG") != nullptr ? nightly : ci;
}

/// A store_worker, with what it printed.
class Worker {
public:
    explicit Worker(const std::vector<std::string>& arguments) {
        int ends[2];
        REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
        child_ = fork();
        if (child_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            dup2(ends[1], 1);
            std::vector<char*> argv;
            for (const auto& argument : arguments) {
                argv.push_back(const_cast<char*>(argument.c_str()));
            }
            argv.push_back(nullptr);
            execvp(argv.front(), argv.data());
            _exit(127);
        }
        close(ends[1]);
        out_ = ends[0];
    }
    ~Worker() {
        kill_now();
        close(out_);
    }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    void signal(int number) const { kill(child_, number); }
    void kill_now() {
        if (child_ > 0) {
            kill(child_, SIGKILL);
            waitpid(child_, nullptr, 0);
            child_ = -1;
        }
    }
    /// Reads until `limit` has passed or the worker has ended.
    void listen(std::chrono::microseconds limit) {
        const auto end = std::chrono::steady_clock::now() + limit;
        for (;;) {
            const auto left = std::chrono::duration_cast<std::chrono::microseconds>(
                end - std::chrono::steady_clock::now());
            const timespec wait{0, std::max<long>(left.count(), 0) * 1'000 % 1'000'000'000};
            pollfd ready{out_, POLLIN, 0};
            if (left.count() <= 0 || ppoll(&ready, 1, &wait, nullptr) < 0) {
                return;
            }
            if (ready.revents != 0 && !read_some()) {
                return;
            }
        }
    }
    /// All whole lines, to the end of what a worker that has ended wrote.
    std::string output() {
        while (read_some()) {
        }
        return text_.substr(0, text_.rfind('\n') + 1);
    }
    [[nodiscard]] const std::string& so_far() const { return text_; }

private:
    bool read_some() {
        char buffer[4096];
        const auto count = read(out_, buffer, sizeof buffer);
        if (count <= 0) {
            return false;
        }
        text_.append(buffer, static_cast<std::size_t>(count));
        return true;
    }
    pid_t child_ = -1;
    int out_ = -1;
    std::string text_;
};

std::string body_of(std::uint64_t position) {
    return "{\"n\":" + std::to_string(position) + ",\"filler\":\"" +
           std::string(position * 7919 % 5000, 'x') + "\"}";
}

/// Checks that the log is 1, 2, 3, ... with the right bodies, and returns its length.
std::uint64_t check_log(Store& store, std::uint64_t from) {
    std::uint64_t position = from;
    for (;;) {
        const auto page = must(store.read_log(position, 1'000));
        if (page.empty()) {
            return position;
        }
        for (const auto& record : page) {
            ++position;
            if (record.position != position || record.body != body_of(position)) {
                FAIL("position " << position << " holds " << record.position << ": "
                                 << record.body.substr(0, 80));
            }
        }
    }
}

/// How often a racing worker has said that it took the lease.
int takes(const Worker& worker) {
    int count = 0;
    for (std::size_t at = 0; (at = worker.so_far().find("took", at)) != std::string::npos; ++at) {
        ++count;
    }
    return count;
}

bool has_written(const Worker& worker) {
    return worker.so_far().find("append") != std::string::npos;
}

std::uint64_t last_number(const std::string& lines) {
    std::istringstream in(lines);
    std::uint64_t last = 0;
    for (std::uint64_t number = 0; in >> number;) {
        last = number;
    }
    return last;
}

} // namespace

TEMPLATE_TEST_CASE("store: kill -9 at random moments loses nothing acknowledged, leaves no hole",
                   "[store][crash]", Sqlite, Postgresql) {
    TestType database;
    auto store = must(open_store(database.url()));
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    std::uint64_t length = 0;
    int killed_at_work = 0;
    const auto kills = rounds(100, 6);
    for (int round = 0; killed_at_work < kills; ++round) {
        CAPTURE(round);
        REQUIRE(round < 4 * kills);
        Worker worker({STORE_WORKER, "append", database.url()});
        // Not before the first acknowledgement: what is to be hit is the work, not the start.
        for (int wait = 0; worker.so_far().empty() && wait < 100; ++wait) {
            worker.listen(100ms);
        }
        worker.listen(std::chrono::microseconds{random() % 20'000});
        worker.kill_now();
        const auto acknowledged = last_number(worker.output());
        killed_at_work += acknowledged > 0 ? 1 : 0;
        const auto now = check_log(*store, length);
        CHECK(now >= acknowledged);
        // A document of the same transaction: both or neither.
        if (now > 0) {
            CHECK(must(store->document("test", "last")).body == std::to_string(now));
        }
        length = now;
    }
    CHECK(length > 2 * static_cast<std::uint64_t>(kills));
    CHECK(check_log(*store, 0) == length);
}

TEST_CASE("store: PostgreSQL's crash loses nothing acknowledged, and the store comes back",
          "[store][crash]") {
    auto& server = Postgresql::server();
    const auto url = server.new_database();
    auto store = must(open_store(url));
    std::mt19937 random(std::random_device{}());
    std::uint64_t acknowledged = 0;
    for (int round = 0; round < rounds(5, 2); ++round) {
        Worker worker({STORE_WORKER, "append", url});
        for (int wait = 0; worker.so_far().empty() && wait < 100; ++wait) {
            worker.listen(100ms);
        }
        worker.listen(std::chrono::microseconds{random() % 50'000});
        server.crash();
        CHECK(code_of(store->last_position()) == StoreErrc::unreachable);
        CHECK(code_of(store->last_position()) == StoreErrc::unreachable); // At once: backoff.
        worker.kill_now();
        acknowledged = std::max(acknowledged, last_number(worker.output()));
        server.start();
        for (int attempt = 0; !store->last_position() && attempt < 100; ++attempt) {
            std::this_thread::sleep_for(20ms);
        }
        CHECK(check_log(*store, 0) >= acknowledged);
    }
    CHECK(acknowledged > 0);
}

TEST_CASE("store: connections that are cut while it commits: each commit is known as done or not",
          "[store][crash]") {
    auto& server = Postgresql::server();
    auto store = must(open_store(server.new_database()));
    const auto token = must(store->acquire_lease("a", 1h)).token;
    std::jthread cutter([&server](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            server.cut_connections();
        }
    });
    const auto commits = static_cast<std::uint64_t>(rounds(300, 50));
    const auto cuts = rounds(20, 4);
    std::uint64_t position = 0;
    int refused = 0;
    for (int attempt = 0; attempt < 20'000 && (position < commits || refused < cuts); ++attempt) {
        Changes changes;
        changes.expected_position = position;
        changes.records.push_back({0, 1, "d", "test", body_of(position + 1)});
        auto done = store->commit(token, changes);
        if (done) {
            ++position; // If "not written" were ever wrong, the next position would be a conflict.
            REQUIRE(done->last_position == position);
            continue;
        }
        INFO(describe(done.error()));
        REQUIRE(done.error().code == StoreErrc::unreachable);
        ++refused;
        std::this_thread::sleep_for(1ms);
    }
    cutter.request_stop();
    cutter.join();
    CHECK(position >= commits);
    CHECK(refused >= cuts);
    for (int attempt = 0; !store->last_position() && attempt < 100; ++attempt) {
        std::this_thread::sleep_for(20ms);
    }
    CHECK(check_log(*store, 0) == position);
}

TEMPLATE_TEST_CASE("lease: two processes with clocks an hour apart never drive at once",
                   "[store][crash]", Sqlite, Postgresql) {
    TestType database;
    auto store = must(open_store(database.url()));
    std::map<std::string, std::string> output;
    const auto turns = rounds(6, 3);
    {
        const auto skewed = [&](const std::string& by, const std::string& name) {
            // Not by the `faketime` command: that is a parent, which dies alone when it is killed.
            // Only the wall clock: nobody can set the one that counts from the boot.
            return std::vector<std::string>{
                "env",
                "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0",
                "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
                "FAKETIME=" + by,
                "FAKETIME_DONT_FAKE_MONOTONIC=1",
                STORE_WORKER,
                "race",
                database.url(),
                name,
                "60"};
        };
        Worker early(skewed("-1h", "early"));
        Worker late(skewed("+1h", "late"));
        std::mt19937 random(1);
        const auto goes_on = [&] {
            return takes(early) + takes(late) < turns || !has_written(early) || !has_written(late);
        };
        for (int round = 0; round < 300 && goes_on(); ++round) {
            auto& stopped = round % 2 == 0 ? early : late;
            stopped.signal(SIGSTOP); // At any moment, also between its check and its commit.
            std::this_thread::sleep_for(std::chrono::milliseconds{20 + random() % 100});
            stopped.signal(SIGCONT);
            early.listen(std::chrono::milliseconds{random() % 20});
            late.listen(std::chrono::milliseconds{random() % 20});
        }
        early.kill_now();
        late.kill_now();
        output["early"] = early.output();
        output["late"] = late.output();
    }
    std::map<std::uint64_t, std::string> holders;
    for (const auto& [name, text] : output) {
        std::istringstream in(text);
        std::string word;
        for (std::uint64_t token = 0; in >> word >> token;) {
            if (word == "took") {
                CHECK(holders.emplace(token, name).second); // A token is given once.
            } else {
                in >> word;
            }
        }
    }
    std::uint64_t before = 0;
    std::set<std::string> wrote;
    std::vector<LogRecord> log;
    for (bool more = true; more;) {
        const auto page = must(store->read_log(log.size(), 10'000));
        more = !page.empty();
        log.insert(log.end(), page.begin(), page.end());
    }
    for (const auto& record : log) {
        const auto token = std::stoull(record.body);
        CHECK(token >= before); // Never an older holder's record behind a newer one's.
        before = token;
        wrote.insert(record.deployment);
        if (holders.contains(token)) {
            CHECK(holders[token] == record.deployment);
        }
    }
    CHECK(holders.size() >= static_cast<std::size_t>(turns));
    CHECK(wrote == std::set<std::string>{"early", "late"});
}

TEMPLATE_TEST_CASE("lease: after kill -9 of its holder another takes over within 3 s",
                   "[store][crash]", Sqlite, Postgresql) {
    TestType database;
    auto store = must(open_store(database.url()));
    Worker holder({STORE_WORKER, "race", database.url(), "holder", "2000"});
    for (int wait = 0; holder.so_far().empty() && wait < 100; ++wait) {
        holder.listen(100ms);
    }
    holder.kill_now();
    const auto killed = std::chrono::steady_clock::now();
    while (must(store->acquire_lease("next", lease_ttl)).holder != "next") {
        std::this_thread::sleep_for(250ms); // As a candidate does.
    }
    CHECK(std::chrono::steady_clock::now() - killed < 3s);
}

TEMPLATE_TEST_CASE("store: a newer schema is refused and left as it is", "[store]", Sqlite,
                   Postgresql) {
    TestType database;
    must(open_store(database.url()));
    auto sql = must(Sql::make(database.url()));
    must(sql.run("UPDATE meta SET value = '99' WHERE name = 'schema'"));
    auto store = open_store(database.url());
    REQUIRE_FALSE(store);
    CHECK(store.error().code == StoreErrc::newer_schema);
    CHECK(store.error().context.find("schema 99") != std::string::npos);
    CHECK(must(sql.run("SELECT value FROM meta", {}, 1)).front().front() == "99");
}

TEMPLATE_TEST_CASE("store: processes that open an empty database at once make its tables once",
                   "[store]", Sqlite, Postgresql) {
    TestType database;
    std::vector<std::jthread> threads;
    std::vector<Result<std::unique_ptr<Store>>> stores(4);
    for (auto& store : stores) {
        threads.emplace_back([&] { store = open_store(database.url()); });
    }
    threads.clear();
    for (const auto& store : stores) {
        INFO((store ? "" : describe(store.error())));
        CHECK(store);
    }
}

namespace {

/// Takes a backup by `command` while a worker appends, and puts it back by `restore`, which gives
/// the restored database's URL.
template <typename Backup, typename Restore>
void check_backup(const std::string& url, Backup backup, Restore restore) {
    Worker worker({STORE_WORKER, "append", url});
    for (int wait = 0; worker.so_far().empty() && wait < 100; ++wait) {
        worker.listen(100ms);
    }
    worker.listen(20ms);
    const auto acknowledged = last_number(worker.so_far().substr(0, worker.so_far().rfind('\n')));
    REQUIRE(acknowledged > 0);
    backup();
    worker.listen(20ms);
    worker.kill_now();
    auto before = must(open_store(url));
    const auto seen = must(before->acquire_lease("before", 1h)).token;
    auto after = must(open_store(restore()));
    const auto length = check_log(*after, 0);
    CHECK(length >= acknowledged);
    CHECK(length <= must(before->last_position()));
    CHECK(must(after->document("test", "last")).body == std::to_string(length));
    // The fleet has seen tokens that the backup does not know: the next must be above them.
    CHECK(must(after->acquire_lease("after", 1h)).token > seen);
}

} // namespace

TEST_CASE("database: SQLite's backup of docs/database.md, taken at work, is whole", "[backup]") {
    Sqlite database;
    const auto file = database.url().substr(std::string("sqlite:").size());
    check_backup(
        database.url(),
        [&] {
            const auto command = "sqlite3 '" + file + "' \"VACUUM INTO '" + file + ".backup'\"";
            REQUIRE(std::system(command.c_str()) == 0);
        },
        [&] { return "sqlite:" + file + ".backup"; });
}

TEST_CASE("database: PostgreSQL's backup of docs/database.md, taken at work, is whole",
          "[backup]") {
    auto& server = Postgresql::server();
    Postgresql database;
    const auto name =
        database.url().substr(std::string("postgresql:///").size(), database.url().find('?') - 14);
    const auto file = (server.home() / "backup").string();
    check_backup(
        database.url(),
        [&] { REQUIRE(server.run("pg_dump --format=custom --file=" + file + " " + name) == 0); },
        [&] {
            auto url = server.new_database();
            const auto fresh = url.substr(14, url.find('?') - 14);
            REQUIRE(server.run("pg_restore --exit-on-error --single-transaction --dbname=" + fresh +
                               " " + file) == 0);
            return url;
        });
}

TEST_CASE(
    "lease: PostgreSQL ends a transaction that a stopped process left open, then it is fenced",
    "[store][crash]") {
    Postgresql database;
    auto store = must(open_store(database.url()));
    must(store->acquire_lease("stopped", 1ms));
    auto stopped = must(Sql::make(database.url()));
    must(stopped.begin());
    must(stopped.run("SELECT token FROM lease WHERE id = 1 FOR UPDATE", {}, 1));
    const auto begin = std::chrono::steady_clock::now();
    CHECK(must(store->acquire_lease("next", 1h)).holder == "next");
    CHECK(std::chrono::steady_clock::now() - begin < 3s);
    CHECK(code_of(stopped.run("UPDATE lease SET last_commit = 'late' WHERE id = 1")) ==
          StoreErrc::unreachable);
}
