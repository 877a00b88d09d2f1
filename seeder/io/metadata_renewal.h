#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>

#include "common/io/asio.h"
#include "common/trust/signer.h"
#include "seeder/core/renewal_schedule.h"
#include "seeder/io/seeder_metrics.h"

namespace slipway::seeder {

struct MetadataRenewalOptions {
    std::filesystem::path repository;
    /// With keys of snapshot and timestamp; none: expiry is watched, nothing is signed.
    std::optional<trust::KeyDirectory> keys;
    std::function<trust::TimePoint()> now;
    RenewalSchedule::Options schedule{};
};

/// Signs timestamp and snapshot anew at half of their validity and keeps the metrics of expiry,
/// until `stop`. A failure (no key, no space, a repository that does not verify) is logged,
/// counted, and tried again. `pool` and `metrics` must outlive the coroutine.
net::awaitable<void> run_metadata_renewal(MetadataRenewalOptions options, net::thread_pool& pool,
                                          SeederMetrics& metrics, std::stop_token stop);

} // namespace slipway::seeder
