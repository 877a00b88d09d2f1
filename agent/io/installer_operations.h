#pragma once

#include <functional>
#include <stop_token>

#include "agent/core/installer_protocol.h"
#include "agent/io/file_ops.h"
#include "agent/io/host_layout.h"
#include "common/trust/client.h"

namespace slipway::agent {

/// What slipway-installer does for a request. Thread-safe: a service's lock makes operations on one
/// service wait for each other (wait_for_lock_s at most). Nothing is kept between requests but what
/// is on the disk, so a killed process leaves nothing to be cleaned up but what the next request
/// on that service cleans up anyway.
class InstallerOperations {
public:
    using OnPhase = std::function<void(std::string_view phase, std::uint64_t total_bytes)>;

    /// `files` must outlive it.
    InstallerOperations(HostLayout host, FileOps& files);

    /// Makes `root` the trusted root the first time; see trust::Client::trust_root().
    [[nodiscard]] Result<> trust(ByteSpan root);

    [[nodiscard]] InstallerReply perform(const InstallerRequest& request, trust::TimePoint now,
                                         const OnPhase& on_phase, const std::stop_token& stop);

private:
    [[nodiscard]] InstallerReply build(const InstallerRequest& request, trust::TimePoint now,
                                       const OnPhase& on_phase, const std::stop_token& stop);
    [[nodiscard]] Result<InstallerReply> switch_to(const InstallerRequest& request,
                                                   const std::string& now);
    [[nodiscard]] Result<InstallerReply>
    roll_back(const InstallerRequest& request, const std::string& now, const std::stop_token& stop);
    [[nodiscard]] Result<InstallerReply> collect(const InstallerRequest& request,
                                                 const std::string& now);
    [[nodiscard]] Result<InstallerReply> status(const InstallerRequest& request) const;

    HostLayout host_;
    FileOps& files_;
};

} // namespace slipway::agent
