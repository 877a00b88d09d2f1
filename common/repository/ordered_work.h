#pragma once

#include <cassert>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "common/core/errc.h"
#include "common/core/result.h"

namespace slipway {

/// Work in parallel whose results are taken one by one in order, with a bound on the memory that
/// work in progress and results that wait take together. Used to encode the blocks of a pack.
template <typename Value>
struct OrderedWork {
    std::size_t count = 0;
    unsigned workers = 1;
    std::uint64_t memory_bytes_max = 0;
    /// Bytes that work on number i takes at most. One that is over the bound runs alone.
    std::function<std::uint64_t(std::size_t)> memory;
    /// On any worker. Bytes that a result takes while it waits: `held`.
    std::function<Result<Value>(std::size_t)> work;
    std::function<std::uint64_t(const Value&)> held;
    /// On some worker, one at a time, in order.
    std::function<Result<>(std::size_t, Value)> take;
};

namespace detail {

template <typename Value>
class OrderedRun {
public:
    OrderedRun(const OrderedWork<Value>& order, std::stop_token stop)
        : order_(order), stop_(std::move(stop)) {}

    Result<> run() {
        {
            const std::stop_callback wake{stop_, [this] { changed_.notify_all(); }};
            std::vector<std::jthread> threads;
            for (unsigned i = 1; i < order_.workers; ++i) {
                threads.emplace_back([this] { work_loop(); });
            }
            work_loop();
        }
        if (error_) {
            return tl::unexpected(std::move(*error_));
        }
        return taken_ == order_.count ? Result<>{} : fail(Errc::cancelled, "parallel work");
    }

private:
    [[nodiscard]] bool is_over() const {
        return error_ || stop_.stop_requested() || next_ == order_.count;
    }
    // Numbers start in order, so the lowest unfinished one always has its memory: no deadlock.
    [[nodiscard]] bool may_start() const {
        return in_use_ == 0 || in_use_ + order_.memory(next_) <= order_.memory_bytes_max;
    }

    void work_loop() {
        std::unique_lock lock(mutex_);
        while (true) {
            // The stop callback takes no lock, so a request could slip in before wait(): look again
            // after a while.
            while (!is_over() && !may_start()) {
                changed_.wait_for(lock, std::chrono::milliseconds(100));
            }
            if (is_over()) {
                return;
            }
            const auto i = next_++;
            const auto reserved = order_.memory(i);
            in_use_ += reserved;
            lock.unlock();
            auto value = order_.work(i);
            lock.lock();
            if (!value) {
                record(i, std::move(value.error()));
                return;
            }
            const auto held = order_.held(*value);
            in_use_ = in_use_ - reserved + held;
            waiting_.emplace(i, std::pair(std::move(*value), held));
            take_ready(lock);
        }
    }

    void take_ready(std::unique_lock<std::mutex>& lock) {
        while (!taking_ && !error_ && waiting_.contains(taken_)) {
            auto node = waiting_.extract(taken_);
            taking_ = true;
            lock.unlock();
            auto done = order_.take(node.key(), std::move(node.mapped().first));
            lock.lock();
            taking_ = false;
            in_use_ -= node.mapped().second;
            if (!done) {
                record(node.key(), std::move(done.error()));
            } else {
                ++taken_;
            }
            changed_.notify_all();
        }
        changed_.notify_all();
    }

    void record(std::size_t i, Error why) {
        if (!error_ || i < failed_) {
            failed_ = i;
            error_ = std::move(why);
        }
        changed_.notify_all();
    }

    const OrderedWork<Value>& order_;
    std::stop_token stop_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t next_ = 0;
    std::size_t taken_ = 0;
    bool taking_ = false;
    std::uint64_t in_use_ = 0;
    std::map<std::size_t, std::pair<Value, std::uint64_t>> waiting_;
    std::size_t failed_ = 0;
    std::optional<Error> error_;
};

} // namespace detail

/// Runs it to the end, to its first failure, or to a stop request (Errc::cancelled). Blocking.
template <typename Value>
[[nodiscard]] Result<> run_in_order(const OrderedWork<Value>& order, std::stop_token stop) {
    return detail::OrderedRun<Value>(order, std::move(stop)).run();
}

} // namespace slipway
