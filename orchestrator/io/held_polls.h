#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <unordered_map>

#include "common/io/asio.h"

namespace slipway::orchestrator {

/// Requests that wait here for news of their host. Of one host one waits; when it asks again, on
/// another connection, the older one is let go.
/// Threads: the io thread only. Cost of wake(): one look-up.
class HeldPolls {
public:
    /// Until wake(host), `limit`, a newer request of the host, or `stop`. Gives whether it was
    /// woken by news: to be asked again if they were not what was waited for.
    net::awaitable<bool> hold(std::string host, std::chrono::milliseconds limit,
                              std::stop_token stop);
    void wake(const std::string& host);
    void wake_all();
    [[nodiscard]] std::size_t count() const { return waiting_.size(); }

private:
    struct Poll {
        net::steady_timer timer;
        bool has_news = false;
    };
    std::unordered_map<std::string, Poll*> waiting_;
};

} // namespace slipway::orchestrator
