#pragma once

#include <chrono>
#include <map>
#include <string>

#include "common/metrics/metrics.h"

namespace slipway::seeder {

/// What a seeder measures of itself (docs/metrics.md). May be used from any thread.
class SeederMetrics {
public:
    SeederMetrics();

    void connection_opened();
    void connection_closed() { connections_.Decrement(); }
    void http_sent(std::size_t bytes) { http_bytes_.Increment(static_cast<double>(bytes)); }
    void pack_shared() { packs_.Increment(); }
    void pack_removed() { packs_.Decrement(); }
    void renewed() { renewals_.Increment(); }
    void renewal_failed() { renewal_failures_.Increment(); }
    void expires(const std::map<std::string, std::chrono::sys_seconds>& by_role);

    /// The text for a scrape; `bittorrent_bytes` is what the swarm has sent since the start.
    [[nodiscard]] std::string text(std::uint64_t bittorrent_bytes);

private:
    Metrics metrics_;
    prometheus::Gauge& connections_;
    prometheus::Counter& connections_total_;
    prometheus::Counter& http_bytes_;
    prometheus::Counter& bittorrent_bytes_;
    prometheus::Gauge& packs_;
    prometheus::Counter& renewals_;
    prometheus::Counter& renewal_failures_;
};

} // namespace slipway::seeder
