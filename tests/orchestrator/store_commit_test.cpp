// A connection that is lost exactly when PostgreSQL's answer to a commit is on its way.
#include <atomic>
#include <cstring>
#include <thread>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "orchestrator/io/store.h"
#include "tests/orchestrator/store_fixture.h"

using namespace slipway;
using namespace slipway::orchestrator;
using namespace std::chrono_literals;

namespace {

sockaddr_un socket_in(const std::filesystem::path& directory) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto path = (directory / ".s.PGSQL.5432").string();
    REQUIRE(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.c_str(), path.size());
    return address;
}

/// Stands between the store and the server; can drop a connection instead of passing on the answer
/// to a COMMIT.
class Between {
public:
    explicit Between(const std::filesystem::path& server) : server_(socket_in(server)) {
        std::string name = std::filesystem::temp_directory_path() / "slipway-between-XXXXXX";
        REQUIRE(mkdtemp(name.data()) != nullptr);
        home_ = name;
        listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const auto address = socket_in(home_);
        REQUIRE(bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(listen(listener_, 8) == 0);
        acceptor_ = std::jthread([this] { accept_all(); });
    }
    ~Between() {
        shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        close(listener_);
        std::filesystem::remove_all(home_);
    }
    Between(const Between&) = delete;
    Between& operator=(const Between&) = delete;

    void drop_next_answer() { drop_ = true; }
    [[nodiscard]] bool dropped() const { return !drop_; }
    [[nodiscard]] const std::filesystem::path& home() const { return home_; }

private:
    void accept_all() {
        std::vector<std::jthread> threads;
        for (;;) {
            const auto client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (client < 0) {
                return; // The threads end when the store closes its connections.
            }
            threads.emplace_back([this, client] { pass(client); });
        }
    }
    void pass(int client) {
        const auto server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(server, reinterpret_cast<const sockaddr*>(&server_), sizeof server_) == 0) {
            while (pass_some(client, server)) {
            }
        }
        close(server);
        close(client);
    }
    bool pass_some(int client, int server) {
        pollfd ends[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
        if (poll(ends, 2, -1) < 0) {
            return false;
        }
        for (int end = 0; end < 2; ++end) {
            if (ends[end].revents == 0) {
                continue;
            }
            char buffer[65536];
            const auto count = read(ends[end].fd, buffer, sizeof buffer);
            if (count <= 0) {
                return false;
            }
            const std::string_view bytes(buffer, static_cast<std::size_t>(count));
            if (must_drop(bytes, end == 0)) {
                drop_ = false;
                return false;
            }
            if (write(ends[1 - end].fd, buffer, bytes.size()) != count) {
                return false;
            }
        }
        return true;
    }
    /// The command tag of a commit, in the server's answer.
    bool must_drop(std::string_view bytes, bool from_client) {
        return !from_client && drop_ &&
               bytes.find(std::string_view("COMMIT\0", 7)) != std::string_view::npos;
    }

    sockaddr_un server_;
    std::filesystem::path home_;
    int listener_ = -1;
    std::atomic<bool> drop_{false};
    std::jthread acceptor_;
};

Changes append(std::uint64_t after) {
    Changes changes;
    changes.expected_position = after;
    changes.records.push_back({0, 1, "d", "step", "{}"});
    return changes;
}

/// The store, connected through `between`, with a lease and a first record.
struct Through {
    Postgresql database{};
    Between between{Postgresql::server().home()};
    std::unique_ptr<Store> store = must(open_store(url()));
    std::uint64_t token = must(store->acquire_lease("a", 1h)).token;

    std::string url() {
        auto through = database.url();
        const auto host = through.find("host=") + 5;
        return through.replace(host, std::string::npos, between.home().string());
    }
    Through() { must(store->commit(token, append(0))); }
};

} // namespace

TEST_CASE("store: a commit whose answer was lost is known as done", "[store][crash]") {
    Through through;
    through.between.drop_next_answer();
    const auto done = must(through.store->commit(through.token, append(1)));
    CHECK(through.between.dropped());
    CHECK(done.last_position == 2);
    CHECK(must(through.store->last_position()) == 2);
    CHECK(must(through.store->commit(through.token, append(2))).last_position == 3);
}

TEST_CASE("store: documents whose answer was lost are known as done, without a lease as well",
          "[store][crash]") {
    Through through;
    Changes changes;
    changes.documents.push_back({"hosts", "h", "{}", 0});
    through.between.drop_next_answer();
    must(through.store->commit({}, changes));
    CHECK(through.between.dropped());
    CHECK(must(through.store->document("hosts", "h")).revision == 1);
}

TEST_CASE("store: a lease whose answer was lost is had by asking again", "[store][crash]") {
    Through through;
    must(through.store->release_lease(through.token));
    through.between.drop_next_answer();
    CHECK(code_of(through.store->acquire_lease("b", 1h)) == StoreErrc::outcome_unknown);
    const auto again = must(through.store->acquire_lease("b", 1h));
    CHECK(again.holder == "b");
    must(through.store->commit(again.token, append(1)));
}
