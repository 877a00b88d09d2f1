// What the store's tests run as a process of its own, to kill it or to let it race:
//   store_worker append URL          appends records for ever; a line with the position after each
//   store_worker race URL NAME TTL   takes the lease when it can, appends while it has it
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include <unistd.h>

#include "common/core/errc.h"
#include "orchestrator/io/store.h"

namespace {

using namespace slipway;
using namespace slipway::orchestrator;

/// What record `position` must hold: as long as it is told by its position, so that a torn one is
/// seen.
std::string body_of(std::uint64_t position) {
    return "{\"n\":" + std::to_string(position) + ",\"filler\":\"" +
           std::string(position * 7919 % 5000, 'x') + "\"}";
}

[[noreturn]] void end(const std::string& what, const Error& error) {
    std::fprintf(stderr, "%s: %s\n", what.c_str(), describe(error).c_str());
    std::exit(1);
}

void append(Store& store) {
    auto lease =
        store.acquire_lease("worker " + std::to_string(getpid()), std::chrono::milliseconds{1});
    for (int attempt = 0;
         lease && lease->holder != "worker " + std::to_string(getpid()) && attempt < 1'000;
         ++attempt) {
        lease =
            store.acquire_lease("worker " + std::to_string(getpid()), std::chrono::milliseconds{1});
    }
    if (!lease) {
        end("lease", lease.error());
    }
    auto last = store.last_position();
    if (!last) {
        end("position", last.error());
    }
    for (auto position = *last;;) {
        Changes changes;
        changes.expected_position = position;
        const auto count = position % 5 + 1;
        for (std::uint64_t record = 1; record <= count; ++record) {
            changes.records.push_back({0, 1, "d" + std::to_string((position + record) % 3), "test",
                                       body_of(position + record)});
        }
        changes.documents.push_back({"test", "last", std::to_string(position + count), {}});
        auto done = store.commit(lease->token, changes);
        if (!done) {
            end("append", done.error());
        }
        position = done->last_position;
        std::printf("%llu\n", static_cast<unsigned long long>(position));
        std::fflush(stdout);
    }
}

/// Prints "took TOKEN", and "append TOKEN POSITION" for each record.
void race(Store& store, const std::string& name, std::chrono::milliseconds ttl) {
    for (;;) {
        auto lease = store.acquire_lease(name, ttl);
        if (!lease || lease->holder != name) {
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
            continue;
        }
        std::printf("took %llu\n", static_cast<unsigned long long>(lease->token));
        std::fflush(stdout);
        for (;;) {
            auto last = store.last_position();
            if (!last) {
                break;
            }
            Changes changes;
            changes.expected_position = *last;
            changes.records.push_back({0, 1, name, "race", std::to_string(lease->token)});
            auto done = store.commit(lease->token, changes);
            if (!done && done.error().code == StoreErrc::fenced) {
                break;
            }
            if (done) {
                std::printf("append %llu %llu\n", static_cast<unsigned long long>(lease->token),
                            static_cast<unsigned long long>(done->last_position));
                std::fflush(stdout);
            }
            // Renewed only now and then, so that it is lost now and then.
            if (*last % 7 == 0 && !store.renew_lease(lease->token, ttl)) {
                break;
            }
        }
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        return 2;
    }
    auto store = open_store(argv[2]);
    if (!store) {
        end("open", store.error());
    }
    const std::string_view mode = argv[1];
    if (mode == "append") {
        append(**store);
    } else if (mode == "race" && argc == 5) {
        race(**store, argv[3], std::chrono::milliseconds{std::stoi(argv[4])});
    }
    return 2;
}
