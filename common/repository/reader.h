#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/format/manifest.h"
#include "common/format/pack.h"
#include "common/io/http_client.h"
#include "common/repository/layout.h"
#include "common/trust/client.h"

namespace slipway {

/// A repository's files, untrusted, by their paths in layout.h; the TUF source over the same place.
class RepositoryFiles : public trust::MetadataSource {
public:
    /// More than `max_bytes`: Errc::verification_failed. Missing: Errc::not_found.
    [[nodiscard]] virtual Result<Bytes> fetch(const std::string& path, std::uint64_t max_bytes) = 0;
    [[nodiscard]] virtual const std::string& location() const = 0;
    [[nodiscard]] Result<Bytes> fetch_metadata(const std::string& path,
                                               std::uint64_t max_bytes) override;
};

/// A repository, or the part of one that was kept, in a directory. For programs without a network.
class RepositoryDirectory final : public RepositoryFiles {
public:
    explicit RepositoryDirectory(std::string directory) : directory_(std::move(directory)) {}
    [[nodiscard]] Result<Bytes> fetch(const std::string& path, std::uint64_t max_bytes) override;
    [[nodiscard]] const std::string& location() const override { return directory_; }

private:
    std::string directory_;
};

/// Where a repository's files are: a directory, or the URL of a seeder or of any web server.
/// Not thread-safe.
class RepositorySource final : public RepositoryFiles {
public:
    /// A URL ("http://", "https://", "file://") or a directory.
    /// `tls`: for https URLs of a fleet's seeders; see HttpClient.
    explicit RepositorySource(std::string location, std::shared_ptr<HttpTls> tls = nullptr);
    [[nodiscard]] Result<Bytes> fetch(const std::string& path, std::uint64_t max_bytes) override;
    /// Exactly `bytes` bytes (64 MiB and a little at most) from `offset` of such a file.
    [[nodiscard]] Result<Bytes> fetch_range(const std::string& path, std::uint64_t offset,
                                            std::uint64_t bytes);
    [[nodiscard]] bool is_directory() const { return is_directory_; }
    [[nodiscard]] const std::string& location() const override { return location_; }

private:
    std::string location_;
    bool is_directory_;
    HttpClient http_;
};

struct ArtifactListing {
    ArtifactId id;
    TargetCustom custom;
    Sha256Digest digest; ///< Of the manifest.
};

/// An artifact as its signed metadata describes it.
struct ArtifactMetadata {
    Manifest manifest;
    Sha256Digest digest; ///< Of the manifest.
    PackMap packs;
};

/// Every artifact in the trusted metadata, by name and then by the order of publishing.
[[nodiscard]] Result<std::vector<ArtifactListing>> list_artifacts(trust::Client& trusted);

/// Manifest and pack map, fetched and checked against their targets' lengths and digests.
/// Errc::not_found if the trusted metadata does not list it.
[[nodiscard]] Result<ArtifactMetadata> load_artifact(trust::Client& trusted,
                                                     RepositoryFiles& source, const ArtifactId& id);

} // namespace slipway
