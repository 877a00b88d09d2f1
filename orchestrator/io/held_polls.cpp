#include "orchestrator/io/held_polls.h"

namespace slipway::orchestrator {

net::awaitable<bool> HeldPolls::hold(std::string host, std::chrono::milliseconds limit,
                                     std::stop_token stop) {
    if (stop.stop_requested() || limit.count() <= 0) {
        co_return false;
    }
    const auto executor = co_await net::this_coro::executor;
    Poll poll{net::steady_timer(executor, limit)};
    auto& place = waiting_[host];
    if (place != nullptr) {
        place->timer.cancel();
    }
    place = &poll;
    const std::stop_callback wake_on_stop{stop, [&poll] { poll.timer.cancel(); }};
    boost::system::error_code cancelled;
    co_await poll.timer.async_wait(net::redirect_error(net::use_awaitable, cancelled));
    if (const auto found = waiting_.find(host); found != waiting_.end() && found->second == &poll) {
        waiting_.erase(found);
    }
    co_return poll.has_news;
}

void HeldPolls::wake(const std::string& host) {
    if (const auto found = waiting_.find(host); found != waiting_.end()) {
        found->second->has_news = true;
        found->second->timer.cancel();
    }
}

void HeldPolls::wake_all() {
    for (const auto& [host, poll] : waiting_) {
        poll->has_news = true;
        poll->timer.cancel();
    }
}

} // namespace slipway::orchestrator
