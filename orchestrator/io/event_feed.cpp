#include "orchestrator/io/event_feed.h"

#include <algorithm>

namespace slipway::orchestrator {

FeedItem feed_item(const LogRecord& record) {
    auto text = std::make_shared<std::string>("id: " + std::to_string(record.position) +
                                              "\nevent: " + record.kind + "\ndata: ");
    // A line break in the data would end its field; JSON has none but between its tokens.
    for (const char c : record.body) {
        *text += c == '\n' || c == '\r' ? ' ' : c;
    }
    *text += "\n\n";
    return {record.position, record.deployment, std::move(text)};
}

void EventFeed::begin_at(std::uint64_t position) {
    items_.clear();
    bytes_ = 0;
    last_ = position;
    wake_all();
}

void EventFeed::publish(std::span<const LogRecord> records) {
    for (const auto& record : records) {
        items_.push_back(feed_item(record));
        last_ = record.position;
        bytes_ += items_.back().text->size();
    }
    while (!items_.empty() && (items_.size() > limits_.items || bytes_ > limits_.bytes)) {
        bytes_ -= items_.front().text->size();
        items_.pop_front();
    }
    wake_all();
}

bool EventFeed::covers(std::uint64_t position) const {
    return position >= last_ || (!items_.empty() && items_.front().position <= position + 1);
}

std::vector<FeedItem> EventFeed::after(std::uint64_t position, std::size_t limit) const {
    const auto first = std::ranges::upper_bound(items_, position, {}, &FeedItem::position);
    const auto count =
        std::min<std::size_t>(limit, static_cast<std::size_t>(std::distance(first, items_.end())));
    return {first, first + static_cast<std::ptrdiff_t>(count)};
}

void EventFeed::wake_all() {
    for (auto* timer : waiting_) {
        timer->cancel();
    }
}

net::awaitable<void> EventFeed::wait_beyond(std::uint64_t position, std::chrono::milliseconds limit,
                                            std::stop_token stop) {
    if (stop.stop_requested() || position < last_) {
        co_return;
    }
    const auto executor = co_await net::this_coro::executor;
    net::steady_timer timer{executor, limit};
    const auto place = waiting_.insert(waiting_.end(), &timer);
    const std::stop_callback wake{stop, [&timer] { timer.cancel(); }};
    boost::system::error_code cancelled;
    co_await timer.async_wait(net::redirect_error(net::use_awaitable, cancelled));
    waiting_.erase(place);
}

} // namespace slipway::orchestrator
