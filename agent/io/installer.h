#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/io/host_layout.h"
#include "agent/io/pack_source.h"
#include "agent/io/release_store.h"
#include "agent/io/tree_builder.h"
#include "common/repository/reader.h"

namespace slipway::agent {

struct BuildRequest {
    ArtifactId artifact;
    std::string service;
    /// Of the manifest: another one that the metadata lists is refused.
    std::optional<Sha256Digest> digest = std::nullopt;
    /// Gives what was verified down from a root that this process trusts.
    std::function<Result<ArtifactMetadata>()> metadata;
    std::chrono::seconds lock_timeout{30};
    trust::TimePoint now; ///< Goes into records.
    bool activate = true; ///< Else the release is built, and `current` stays.
    std::function<void(std::string_view phase, std::uint64_t total_bytes)> on_phase = {};
};

struct InstallResult {
    ReleaseId release;
    Sha256Digest digest;
    std::optional<ReleaseId> previous;
    bool was_current = false; ///< Nothing was to be done.
    BuildReport build;
    FetchTotals fetch;
    std::uint64_t decoded_bytes = 0;
    std::uint64_t tree_bytes = 0;
    std::map<std::string, double> seconds; ///< By phase.
};

/// Builds a release from packs that a PackSource provides: metadata, plan, space, packs, build
/// aside, sync, read again, switch. Knows no network. A failure or a stop request before the switch
/// leaves the service as it was; what was fetched is kept, so that a second run goes on there.
///
/// The service's lock is held from the first look to the switch.
class Installer {
public:
    /// All must outlive the installer.
    Installer(const HostLayout& host, FileOps& files, Progress& progress);

    /// Errors: Errc::busy (another run holds the lock), Errc::verification_failed,
    /// Errc::not_found, Errc::unreachable, Errc::cancelled, std::errc::no_space_on_device.
    [[nodiscard]] Result<InstallResult> run(const BuildRequest& request, PackSource& packs,
                                            std::stop_token stop);

private:
    const HostLayout& host_;
    FileOps& files_;
    Progress& progress_;
};

} // namespace slipway::agent
