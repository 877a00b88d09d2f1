#include "common/io/blocking.h"

namespace slipway {

net::awaitable<void> sleep_for(std::chrono::milliseconds delay, std::stop_token stop) {
    if (stop.stop_requested()) {
        co_return; // Nothing suspends from here to async_wait, so no request can be missed.
    }
    const auto executor = co_await net::this_coro::executor;
    net::steady_timer timer{executor, delay};
    const std::stop_callback wake{stop, [&timer] { timer.cancel(); }};
    boost::system::error_code cancelled;
    co_await timer.async_wait(net::redirect_error(net::use_awaitable, cancelled));
}

void rethrow(std::exception_ptr escaped) {
    if (escaped) {
        std::rethrow_exception(escaped);
    }
}

} // namespace slipway
