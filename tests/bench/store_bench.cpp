// Measures the orchestrator's store: store_bench SECONDS DIRECTORY prints a line for each
// measurement, on SQLite in DIRECTORY and on a PostgreSQL server of its own, both with fsync.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/core/errc.h"
#include "orchestrator/io/store.h"
#include "tests/fakes/postgres_server.h"

namespace {

using namespace slipway;
using namespace slipway::orchestrator;
using Clock = std::chrono::steady_clock;

template <typename T>
T must(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "%s\n", describe(result.error()).c_str());
        std::exit(1);
    }
    return std::move(*result);
}

/// Repeats `work` for `time`, and prints how often a second it did `items`, and its latencies.
void measure(const char* database, const char* what, std::chrono::seconds time, double items,
             const std::function<void()>& work) {
    work(); // Prepares the statements.
    std::vector<double> ms;
    const auto begin = Clock::now();
    while (Clock::now() - begin < time) {
        const auto start = Clock::now();
        work();
        ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    const auto seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    std::sort(ms.begin(), ms.end());
    const auto at = [&](double part) {
        return ms[static_cast<std::size_t>(part * static_cast<double>(ms.size() - 1))];
    };
    std::printf("%-10s %-44s %9.0f /s   p50 %8.2f ms   p99 %8.2f ms   (%zu commits)\n", database,
                what, items * static_cast<double>(ms.size()) / seconds, at(0.5), at(0.99),
                ms.size());
    std::fflush(stdout);
}

void measure_all(const char* name, const std::string& url, std::chrono::seconds time) {
    auto store = must(open_store(url));
    const auto token = must(store->acquire_lease("bench", std::chrono::hours{1})).token;
    std::uint64_t position = 0;
    const auto append = [&](std::size_t count, std::size_t bytes) {
        Changes changes;
        changes.expected_position = position;
        for (std::size_t record = 0; record < count; ++record) {
            changes.records.push_back({0, 1, "d1", "step", "\"" + std::string(bytes, 'x') + "\""});
        }
        position = must(store->commit(token, changes)).last_position;
    };
    measure(name, "appends of one record of 500 bytes", time, 1, [&] { append(1, 500); });
    measure(name, "records, 100 in a commit", time, 100, [&] { append(100, 500); });
    Changes statuses;
    for (int host = 0; host < 1'000; ++host) {
        statuses.documents.push_back(
            {"status", "host" + std::to_string(host), "\"" + std::string(600, 's') + "\"", {}});
    }
    measure(name, "host statuses of 600 bytes, 1000 in a commit", time, 1'000,
            [&] { must(store->commit(token, statuses)); });

    // Decisions while statuses are written behind, 1000 each 100 ms: what a fleet of 10 000 does.
    std::jthread behind([&](const std::stop_token& stop) {
        for (auto next = Clock::now(); !stop.stop_requested();) {
            must(store->commit(token, statuses));
            next += std::chrono::milliseconds{100};
            std::this_thread::sleep_until(next);
        }
    });
    measure(name, "appends beside 10 000 statuses/s", time, 1, [&] { append(1, 500); });
    behind.request_stop();
    behind.join();
    measure(name, "records read, 1000 in a page", time, 1'000,
            [&] { must(store->read_log(0, 1'000)); });
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "store_bench SECONDS DIRECTORY\n");
        return 2;
    }
    const std::chrono::seconds time{std::atoi(argv[1])};
    measure_all("SQLite", "sqlite:" + std::string(argv[2]) + "/db", time);
    fakes::PostgresServer server(true);
    measure_all("PostgreSQL", server.new_database(), time);
}
