#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/io/installer.h"
#include "agent/io/pack_fetcher.h"
#include "agent/io/shared_packs.h"
#include "agent/io/stage_timer.h"

namespace slipway::agent {

struct InstallRequest {
    ArtifactId artifact;
    std::string service;
    std::vector<std::string> seeders; ///< URLs or directories; the first that works is used.
    std::optional<std::filesystem::path> trusted_root; ///< Needed the first time.
    std::chrono::seconds lock_timeout{30};
    FetcherOptions fetcher;
    trust::TimePoint now; ///< For metadata's expiry.
    bool activate = true; ///< See BuildRequest.
};

struct StageResult {
    ReleaseId release;
    Sha256Digest digest; ///< Of the manifest: what the installer is asked for.
    FetchTotals fetch;
};

/// What a host does with a network: installing in one process, and staging for the installer.
/// Both need no privilege beyond their directories.
class HostInstall {
public:
    /// All must outlive it.
    /// `shared`: a daemon's packs, from where everything is fetched and where it is shared on;
    /// null: a session of its own.
    HostInstall(const HostLayout& host, FileOps& files, Progress& progress,
                SharedPacks* shared = nullptr);
    ~HostInstall();
    HostInstall(const HostInstall&) = delete;
    HostInstall& operator=(const HostInstall&) = delete;

    /// Fetches, builds and switches; see Installer for promises and errors.
    [[nodiscard]] Result<InstallResult> run(const InstallRequest& request, std::stop_token stop);

    /// Fetches what slipway-installer needs to build the artifact: the signed metadata and targets
    /// into ROOT/mirror, pieces of packs into ROOT/packs. Changes nothing of the service.
    /// `also`: what the installer said is missing (a base of this host proved damaged).
    [[nodiscard]] Result<StageResult> stage(const InstallRequest& request,
                                            const std::vector<PackRequest>& also,
                                            std::stop_token stop);

    /// Shares what the last run() or stage() used; see PackFetcher::share().
    /// Nothing is left to do with a daemon's packs, which are shared anyway.
    [[nodiscard]] Result<> share(std::chrono::seconds duration, std::stop_token stop);

    /// Where the time went since this was made, whatever came of it.
    [[nodiscard]] StageTimes times() const;

private:
    [[nodiscard]] Result<> prepare(const InstallRequest& request);
    [[nodiscard]] Result<> fetch_packs(const InstallRequest& request,
                                       const ArtifactMetadata& metadata, std::stop_token stop);

    const HostLayout& host_;
    FileOps& files_;
    Progress& progress_;
    StageTimer timer_; ///< Watches progress_.
    [[nodiscard]] PackSource& source();
    [[nodiscard]] const FetchTotals& totals() const;

    SharedPacks* shared_;
    std::unique_ptr<SharedPacks::Use> use_; ///< One of the two, from prepare() on.
    std::unique_ptr<PackFetcher> fetcher_;
    std::unique_ptr<TimedSource> source_;
};

} // namespace slipway::agent
