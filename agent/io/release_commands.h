#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/io/host_layout.h"
#include "agent/io/release_store.h"
#include "agent/io/tree_verifier.h"
#include "common/io/file_ops.h"
#include "common/io/progress.h"

namespace slipway::agent {

/// What a host can say about a service without a network.
struct ServiceStatus {
    std::string service;
    std::optional<ReleaseRecord> current;
    std::string since; ///< When it became current, RFC 3339.
    std::optional<ReleaseRecord> previous;
    std::vector<ReleaseRecord> releases; ///< All that are whole, by id.
};

struct VerifiedRelease {
    std::string service;
    ReleaseId release;
    std::vector<TreeFault> faults; ///< Empty: it is what its index says.
};

struct Removed {
    std::string what; ///< "release 1.0-… of web", "pack …", "leftover …".
    std::uint64_t bytes = 0;
};

/// The commands that work on what a host has. Those that change anything take the service's lock
/// (Errc::busy after `lock_timeout`, naming the holder) and recover first.
class ReleaseCommands {
public:
    /// All must outlive it. `now` is RFC 3339.
    ReleaseCommands(const HostLayout& host, FileOps& files, Progress& progress, std::string now,
                    std::chrono::seconds lock_timeout);

    /// Of one service, or of all. Errc::not_found for a service that is not on this host.
    [[nodiscard]] Result<std::vector<ServiceStatus>>
    status(const std::optional<std::string>& service);

    /// Reads releases again: current, or the one named, or `all`.
    [[nodiscard]] Result<std::vector<VerifiedRelease>>
    verify(const std::optional<std::string>& service, const std::optional<ReleaseId>& release,
           bool all, std::stop_token stop);

    /// Back to the release before, or to an earlier one. Needs no network, no space beyond a few
    /// KiB and no clock. With `verify` the target is read again first; a release that is not whole
    /// or not right is refused: Errc::verification_failed.
    struct RolledBack {
        ReleaseId from;
        ReleaseId to;
    };
    [[nodiscard]] Result<RolledBack> roll_back(const std::string& service,
                                               const std::optional<ReleaseId>& to, bool verify,
                                               std::stop_token stop);

    /// Makes a release that is on this host current; one that is already stays as it is.
    /// Errc::not_found if it is not whole.
    [[nodiscard]] Result<> switch_to(const std::string& service, const ReleaseId& release);

    /// Removes releases beyond current, previous and `keep_more` others, packs that no release
    /// refers to, and leftovers of killed runs. With `dry_run` only tells. Packs are left alone
    /// unless every service's lock is free.
    [[nodiscard]] Result<std::vector<Removed>>
    collect_garbage(const std::optional<std::string>& service, std::size_t keep_more, bool dry_run);

    /// The same for one service, without the packs: they belong to who fetches them. The releases
    /// of `also` stay, too.
    [[nodiscard]] Result<std::vector<Removed>> collect_service(const std::string& service,
                                                               std::size_t keep_more,
                                                               const std::vector<ReleaseId>& also);

private:
    [[nodiscard]] Result<std::vector<std::string>>
    services(const std::optional<std::string>& service) const;
    [[nodiscard]] ReleaseStore store(const std::string& service) const;
    [[nodiscard]] Result<FileLock> lock(const std::string& service, const std::string& purpose);
    void recover_if_free(const std::string& service);
    [[nodiscard]] Result<VerifiedRelease> verify_one(const ReleaseStore& store, const ReleaseId& id,
                                                     std::stop_token stop);
    [[nodiscard]] Result<std::vector<Removed>> collect_releases(const std::string& service,
                                                                std::size_t keep_more, bool dry_run,
                                                                const std::vector<ReleaseId>& also,
                                                                std::vector<ReleaseRecord>& kept);
    [[nodiscard]] Result<std::vector<Removed>>
    collect_packs(const std::vector<std::pair<std::string, ReleaseRecord>>& kept, bool dry_run);

    const HostLayout& host_;
    FileOps& files_;
    Progress& progress_;
    std::string now_;
    std::chrono::seconds lock_timeout_;
};

} // namespace slipway::agent
