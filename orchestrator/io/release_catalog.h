#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/api/desired.h"
#include "common/repository/reader.h"
#include "common/tls/credentials.h"

namespace slipway::orchestrator {

/// Tells which digest an artifact's name stands for, and what hosts move to have it. A name that
/// is deployed is thereby pinned to what was signed when the deployment began.
///
/// Blocking (network or disk); not thread-safe: one thread at a time.
class ReleaseCatalog {
public:
    struct Options {
        std::string repository; ///< A directory, or the URL of a seeder or of any web server.
        /// Root metadata to trust; needed until the first refresh, unless the repository is a
        /// directory of this machine.
        std::filesystem::path trusted_root;
        std::filesystem::path directory; ///< Where trusted metadata is kept.
        std::shared_ptr<HttpTls> tls;
    };
    explicit ReleaseCatalog(Options options);

    /// The artifact with the digest of its manifest. Refreshes the metadata first. Errors:
    /// Errc::not_found, naming repository and artifact; Errc::verification_failed; those of
    /// fetching.
    [[nodiscard]] Result<api::Wanted> find(const ArtifactId& artifact);

    /// What a host that has `from` (empty: nothing) moves to have `to`, in whole pieces. Counted
    /// once for each pair, then remembered. Errors: as for find().
    [[nodiscard]] Result<std::uint64_t> bytes_between(const std::string& from,
                                                      const ArtifactId& to);

private:
    [[nodiscard]] Result<trust::Client> refreshed();

    Options options_;
    RepositorySource source_;
    std::map<std::pair<std::string, std::string>, std::uint64_t> counted_;
};

} // namespace slipway::orchestrator
