#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/io/host_layout.h"
#include "agent/io/pack_fetcher.h"
#include "agent/io/release_store.h"
#include "agent/io/tree_builder.h"
#include "common/repository/reader.h"

namespace slipway::agent {

struct InstallRequest {
    ArtifactId artifact;
    std::string service;
    std::vector<std::string> seeders; ///< URLs or directories; the first that works is used.
    std::optional<std::filesystem::path> trusted_root; ///< Needed the first time.
    std::chrono::seconds lock_timeout{30};
    FetcherOptions fetcher;
    trust::TimePoint now;    ///< For metadata's expiry.
    bool stage_only = false; ///< Bring the release to the disk; `current` stays as it is.
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

/// Installs an artifact on this host: metadata, plan, space, fetch, build aside, sync, read again,
/// switch. A failure or a stop request before the switch leaves the service as it was; what was
/// fetched is kept, so that a second run goes on there.
///
/// The service's lock is held from the first look to the switch.
class Installer {
public:
    /// All must outlive the installer.
    Installer(const HostLayout& host, FileOps& files, Progress& progress);

    /// Errors: Errc::busy (another run holds the lock), Errc::verification_failed,
    /// Errc::not_found, Errc::unreachable, Errc::cancelled, std::errc::no_space_on_device.
    [[nodiscard]] Result<InstallResult> run(const InstallRequest& request, std::stop_token stop);

    /// Shares what the last run() used; see PackFetcher::share().
    [[nodiscard]] Result<> share(std::chrono::seconds duration, std::stop_token stop);

private:
    const HostLayout& host_;
    FileOps& files_;
    Progress& progress_;
    std::unique_ptr<PackFetcher> fetcher_;
};

} // namespace slipway::agent
