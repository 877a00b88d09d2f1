#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/io/asio.h"
#include "orchestrator/io/store.h"

namespace slipway::orchestrator {

/// A record of the log as a server-sent event: "id: 17\nevent: KIND\ndata: {...}\n\n".
struct FeedItem {
    std::uint64_t position = 0;
    std::string deployment;
    std::shared_ptr<const std::string> text; ///< Shared by all who watch.
};
[[nodiscard]] FeedItem feed_item(const LogRecord& record);

/// The newest records of the log, in memory, for those who watch. Older ones are in the store.
/// Threads: the io thread only.
class EventFeed {
public:
    struct Limits {
        std::size_t items = 4'096;
        std::size_t bytes = 16UL * 1024 * 1024;
    };
    explicit EventFeed(Limits limits) : limits_(limits) {}

    /// Forgets all: the log ends at `position`, and what follows will be published.
    void begin_at(std::uint64_t position);
    /// Records that were committed, in order.
    void publish(std::span<const LogRecord> records);

    /// Those behind `position`; nothing if it is the last one. Ask covers() first.
    [[nodiscard]] std::vector<FeedItem> after(std::uint64_t position, std::size_t limit) const;
    /// Whether everything behind `position` is here.
    [[nodiscard]] bool covers(std::uint64_t position) const;
    [[nodiscard]] std::uint64_t last() const { return last_; }

    /// Until there is something behind `position`, or `limit` has passed, or `stop`.
    net::awaitable<void> wait_beyond(std::uint64_t position, std::chrono::milliseconds limit,
                                     std::stop_token stop);
    /// Ends all waits.
    void wake_all();

private:
    Limits limits_;
    std::uint64_t last_ = 0;
    std::size_t bytes_ = 0;
    std::deque<FeedItem> items_; ///< Positions without holes, up to `last_`.
    std::list<net::steady_timer*> waiting_;
};

} // namespace slipway::orchestrator
