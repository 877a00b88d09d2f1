#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "agent/io/host_layout.h"
#include "common/io/progress.h"
#include "common/repository/reader.h"

namespace slipway::agent {

struct MetadataRequest {
    ArtifactId artifact;
    std::vector<std::string> seeders;
    std::optional<std::filesystem::path> trusted_root;
    trust::TimePoint now;
    std::shared_ptr<HttpTls> tls = nullptr; ///< For https seeders; none: the system's authorities.
    /// Keeps what was verified, as a repository directory, for a process that has no network.
    std::optional<std::filesystem::path> keep = std::nullopt;
};

/// Brings the host's trusted metadata up to date and gives the artifact's, from the first seeder
/// that has both; the others' reasons are notes. If none has, the error tells all reasons, and its
/// code is the gravest: verification_failed, then not_found.
/// Holds ROOT/trust.lock while it works: services share the metadata.
[[nodiscard]] Result<ArtifactMetadata>
refresh_metadata(const HostLayout& host, const MetadataRequest& request, Progress& progress);

} // namespace slipway::agent
