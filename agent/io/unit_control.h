#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include "agent/core/probe_verdict.h"
#include "common/core/result.h"
#include "common/format/run_spec.h"

struct sd_bus;

namespace slipway::agent {

/// A unit as systemd sees it.
struct UnitStatus {
    std::string name;
    std::string load;   ///< "loaded", "not-found", "masked", …
    std::string active; ///< "active", "inactive", "failed", "activating", …
    std::string sub;    ///< "running", "exited", …
    std::string result; ///< Services: "success", "exit-code", "timeout", "oom-kill", …
    std::int32_t exit_status = 0;
    std::uint64_t restarts = 0; ///< NRestarts: by systemd itself, since it was started.
    std::int64_t main_pid = 0;  ///< 0: no process.
    std::string program;        ///< Path of the first ExecStart=.

    /// "web.service: failed (failed), result exit-code, exit status 3".
    [[nodiscard]] std::string text() const;
    /// For ProbeVerdict.
    [[nodiscard]] UnitHealth health() const;
};

/// Restarts and reloads systemd units over D-Bus (sd-bus), and looks at them.
///
/// A restart is done when its job is (JobRemoved) and the unit is `active`. Errors name the unit,
/// the job's result and the unit's state, and say where to read on.
///
/// Threads: none, not thread-safe; each thread opens its own. Blocking: up to the timeout; call on
/// a pool. Needs root, or polkit's org.freedesktop.systemd1.manage-units for these units; status()
/// needs neither.
class UnitControl {
public:
    /// `address` as of D-Bus ("unix:path=…"); empty: the system's bus, or as root and without a bus
    /// daemon systemd's own socket. Error: Errc::unreachable.
    [[nodiscard]] static Result<UnitControl> open(const std::string& address = {});
    UnitControl(UnitControl&&) noexcept;
    ~UnitControl();

    /// Restarts the unit, or reloads it; a reload of a unit that is not active starts it. Errors:
    /// Errc::not_found (no such unit), Errc::forbidden, Errc::failed (the job or the unit failed,
    /// or it took longer than `unit.timeout`), Errc::cancelled, Errc::unreachable.
    [[nodiscard]] Result<UnitStatus> apply(const RunUnit& unit, const std::stop_token& stop);
    /// Stops the unit and waits for it; a unit that does not exist is stopped.
    [[nodiscard]] Result<> stop(const RunUnit& unit, const std::stop_token& stop);
    /// Errors: Errc::not_found, Errc::unreachable.
    [[nodiscard]] Result<UnitStatus> status(const std::string& unit);

private:
    struct Job;
    explicit UnitControl(sd_bus* bus);
    [[nodiscard]] Result<> run_job(const char* method, const RunUnit& unit,
                                   const std::stop_token& stop);
    [[nodiscard]] Result<> wait_for(Job& job, const RunUnit& unit,
                                    std::chrono::steady_clock::time_point deadline,
                                    const std::stop_token& stop);
    struct Unref {
        void operator()(sd_bus* bus) const;
    };
    std::unique_ptr<sd_bus, Unref> bus_;
};

} // namespace slipway::agent
