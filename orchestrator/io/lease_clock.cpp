#include "orchestrator/io/lease_clock.h"

#include <chrono>
#include <ctime>
#include <fstream>

#include "common/core/errc.h"

namespace slipway::orchestrator {

Result<LeaseTime> lease_time(Sql& sql) {
    if (sql.dialect() == Dialect::postgresql) {
        // clock_timestamp(): now() is when the transaction began, before it waited for the lock.
        auto rows = sql.run(
            "SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS bigint)", {}, 1);
        if (!rows) {
            return tl::unexpected(rows.error());
        }
        const auto ms = signed_of(rows->front().front());
        return LeaseTime{.ms = ms, .clock = "server", .unix_ms = ms};
    }
    timespec since_boot{};
    if (clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0) {
        return fail_errno("read the time since boot");
    }
    std::string boot;
    if (!std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot)) {
        return fail(Errc::failed, "read /proc/sys/kernel/random/boot_id: mount /proc");
    }
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    return LeaseTime{.ms = std::int64_t{since_boot.tv_sec} * 1'000 + since_boot.tv_nsec / 1'000'000,
                     .clock = boot,
                     .unix_ms =
                         std::chrono::duration_cast<std::chrono::milliseconds>(wall).count()};
}

} // namespace slipway::orchestrator
