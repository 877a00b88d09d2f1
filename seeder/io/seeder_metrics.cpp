#include "seeder/io/seeder_metrics.h"

#include <algorithm>

namespace slipway::seeder {

SeederMetrics::SeederMetrics()
    : connections_(metrics_.gauge("slipway_seeder_http_connections", "Open HTTP connections.")),
      connections_total_(metrics_.counter("slipway_seeder_http_connections_total",
                                          "HTTP connections accepted since the start.")),
      http_bytes_(metrics_.counter("slipway_seeder_http_sent_bytes_total",
                                   "Bytes of repository files sent over HTTP.")),
      bittorrent_bytes_(metrics_.counter("slipway_seeder_bittorrent_sent_bytes_total",
                                         "Bytes of packs sent over BitTorrent.")),
      packs_(metrics_.gauge("slipway_seeder_packs", "Packs that are shared.")),
      renewals_(metrics_.counter("slipway_metadata_renewals_total",
                                 "Times that timestamp or snapshot was signed anew.")),
      renewal_failures_(metrics_.counter("slipway_metadata_renewal_failures_total",
                                         "Attempts to renew timestamp or snapshot that failed.")) {}

void SeederMetrics::connection_opened() {
    connections_.Increment();
    connections_total_.Increment();
}

void SeederMetrics::expires(const std::map<std::string, std::chrono::sys_seconds>& by_role) {
    for (const auto& [role, time] : by_role) {
        metrics_
            .gauge("slipway_metadata_expiry_timestamp_seconds",
                   "When the role's metadata expires, in seconds since 1970.", {{"role", role}})
            .Set(static_cast<double>(time.time_since_epoch().count()));
    }
}

std::string SeederMetrics::text(std::uint64_t bittorrent_bytes) {
    bittorrent_bytes_.Increment(
        std::max(0.0, static_cast<double>(bittorrent_bytes) - bittorrent_bytes_.Value()));
    return metrics_.text();
}

} // namespace slipway::seeder
