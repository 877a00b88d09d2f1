#include "common/io/parallel.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "common/core/errc.h"

namespace slipway {
namespace {

// What the workers share. The failure with the lowest index wins, so that a run with several bad
// inputs always names the same one.
struct Shared {
    std::atomic<std::size_t> next{0};
    std::atomic<bool> failed{false};
    std::mutex mutex;
    std::size_t first_failed = SIZE_MAX;
    std::optional<Error> error;

    void record(std::size_t i, Error why) {
        const std::scoped_lock lock(mutex);
        failed = true;
        if (i < first_failed) {
            first_failed = i;
            error = std::move(why);
        }
    }
};

} // namespace

unsigned worker_count() {
    return std::clamp(std::thread::hardware_concurrency(), 1U, 64U);
}

Result<> parallel_for(std::size_t count, unsigned workers, std::stop_token stop,
                      const std::function<Result<>(std::size_t)>& work) {
    Shared shared;
    const auto loop = [&] {
        while (!shared.failed && !stop.stop_requested()) {
            const auto i = shared.next++;
            if (i >= count) {
                return;
            }
            if (auto done = work(i); !done) {
                shared.record(i, std::move(done.error()));
            }
        }
    };
    std::vector<std::jthread> threads;
    const auto wanted = std::min<std::size_t>(workers, count);
    for (std::size_t i = 1; i < wanted; ++i) {
        threads.emplace_back(loop);
    }
    loop(); // The caller is a worker too.
    threads.clear();
    if (shared.error) {
        return tl::unexpected(std::move(*shared.error));
    }
    if (stop.stop_requested()) {
        return fail(Errc::cancelled, "parallel work");
    }
    return {};
}

} // namespace slipway
