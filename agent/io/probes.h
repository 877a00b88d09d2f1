#pragma once

#include <filesystem>
#include <map>
#include <stop_token>
#include <string>

#include "agent/core/probe_verdict.h"
#include "agent/io/hook_runner.h"

namespace slipway::agent {

/// What probes need to know of the release that they look at.
struct ProbeContext {
    std::filesystem::path release;                ///< exec: where the program belongs.
    std::map<std::string, std::string> variables; ///< exec: as for hooks.
    std::string unit;                             ///< systemd: if the probe names none.
    std::string bus;                              ///< D-Bus address; empty: the system's.
    std::string authority = {};        ///< https: PEM file of those believed; empty: the system's.
    const HookRunner* hooks = nullptr; ///< exec; nullptr makes these unknown.
};

/// Runs one probe once. Blocking, up to `probe.timeout` (exec: and 5 s); call on a pool.
/// - http: status 200. - tcp: the connection is made. - exec: exit status 0.
/// - systemd: ActiveState is active. - metric: the value is within its bounds.
/// What cannot be found out (no D-Bus, no descriptor, a stop request) is unknown, not a failure.
[[nodiscard]] ProbeResult run_probe(const ProbeSpec& probe, const ProbeContext& context,
                                    std::stop_token stop);

/// The value of `series` (`name` or `name{label="value"}`, as it is exposed) in Prometheus's text
/// format. Errors: Errc::not_found, Errc::verification_failed (no number).
[[nodiscard]] Result<double> metric_value(std::string_view exposition, std::string_view series);

} // namespace slipway::agent
