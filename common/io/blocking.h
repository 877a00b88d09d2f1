#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>

#include "common/io/asio.h"

namespace slipway {

/// Runs `work()` on `pool` and resumes on the io thread with what it gave. `work` must give a value
/// and must not throw. `pool` must outlive the coroutine.
template <typename Work>
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): it outlives the
// coroutine.
net::awaitable<std::invoke_result_t<Work>> run_blocking(net::thread_pool& pool, Work work) {
    const auto executor = co_await net::this_coro::executor;
    // The timer never fires by itself: it is what the coroutine waits on. Its cancellation is
    // posted to the io thread, so it cannot come before the wait began.
    auto done = std::make_shared<net::steady_timer>(executor, net::steady_timer::time_point::max());
    auto result = std::make_shared<std::optional<std::invoke_result_t<Work>>>();
    net::post(pool, [executor, done, result, work = std::move(work)]() mutable {
        result->emplace(work());
        net::post(executor, [done] { done->cancel(); });
    });
    boost::system::error_code cancelled;
    co_await done->async_wait(net::redirect_error(net::use_awaitable, cancelled));
    co_return std::move(**result);
}

/// Resumes after `delay`, or at once when a stop is requested (on the io thread).
net::awaitable<void> sleep_for(std::chrono::milliseconds delay, std::stop_token stop);

/// Completion of a long-lived coroutine: what escaped it ends the daemon, on purpose.
void rethrow(std::exception_ptr escaped);

} // namespace slipway
