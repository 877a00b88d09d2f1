#include "seeder/io/metadata_renewal.h"

#include "common/core/errc.h"
#include "common/io/blocking.h"
#include "common/io/file_ops.h"
#include "common/io/log.h"
#include "common/trust/utc_time.h"

namespace slipway::seeder {
namespace {

// A publication holds the lock for as long as it compresses: the next attempt comes soon.
constexpr unsigned lock_patience_ms = 2'000;

Result<trust::Renewal> renew_now(const MetadataRenewalOptions& options) {
    if (!options.keys) {
        return trust::watch_expiry(options.repository);
    }
    const auto lock =
        FileLock::acquire(options.repository / ".lock", "renew metadata", lock_patience_ms);
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    return trust::renew(options.repository, *options.keys, options.now());
}

/// A publication that is under way signs both anew itself.
bool is_harmless(const Error& error) {
    return error.code == Errc::busy;
}

} // namespace

// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters): both outlive the coroutine.
net::awaitable<void> run_metadata_renewal(MetadataRenewalOptions options, net::thread_pool& pool,
                                          SeederMetrics& metrics, std::stop_token stop) {
    // NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
    RenewalSchedule schedule(options.schedule);
    while (!stop.stop_requested()) {
        auto renewing = [&options] { return renew_now(options); };
        const auto renewal = co_await run_blocking(pool, std::move(renewing));
        if (renewal) {
            metrics.expires(renewal->expires);
        } else if (!is_harmless(renewal.error())) {
            metrics.renewal_failed();
            log_event(LogLevel::warning, "metadata.renewal_failed",
                      {{"why", describe(renewal.error())}});
        }
        if (renewal && renewal->written) {
            metrics.renewed();
            log_event(LogLevel::info, "metadata.renewed",
                      {{"timestamp_expires", trust::format_utc(renewal->expires.at("timestamp"))},
                       {"snapshot_expires", trust::format_utc(renewal->expires.at("snapshot"))}});
        }
        co_await sleep_for(schedule.after(renewal.has_value()), stop);
    }
}

} // namespace slipway::seeder
