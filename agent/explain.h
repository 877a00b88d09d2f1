#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/io/host_install.h"

namespace slipway::agent {

/// `slipway-agent explain`: prints where the time of the last installation went, of one service or
/// of all, as sentences or one JSON line. From the daemon where one runs, else from the disk.
/// Errors: Errc::not_found for a service of which nothing is known.
[[nodiscard]] Result<> explain(const HostLayout& host, const std::optional<std::string>& service,
                               bool json);

/// Keeps where the time of an installation by hand went. A failure is only told: what was to be
/// done is done.
void note_installation(const HostLayout& host, const InstallRequest& request,
                       const StageTimes& times, std::int64_t began_unix_s);

} // namespace slipway::agent
