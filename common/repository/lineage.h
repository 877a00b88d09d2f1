#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "common/repository/reader.h"

namespace slipway {

/// A repository on this machine as those see it who may write to it. Its metadata is followed from
/// its own first root, and what is expired is taken all the same: the publisher is who renews it.
/// Not thread-safe.
class LocalRepository {
public:
    /// `scratch` is an empty directory of the caller's, for the verified metadata.
    /// Errors: Errc::not_found if there is no repository; those of the metadata.
    [[nodiscard]] static Result<LocalRepository> open(const std::filesystem::path& directory,
                                                      const std::filesystem::path& scratch);

    [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }
    /// By name and then by the order of publishing.
    [[nodiscard]] const std::vector<ArtifactListing>& listings() const { return listings_; }
    /// Published versions of `name`, the newest first.
    [[nodiscard]] std::vector<ArtifactListing> lineage_of(const std::string& name) const;
    [[nodiscard]] std::optional<ArtifactListing> find(const ArtifactId& id) const;
    [[nodiscard]] Result<ArtifactMetadata> load(const ArtifactId& id);
    [[nodiscard]] trust::Client& trusted() { return *trusted_; }

private:
    LocalRepository() = default;
    std::filesystem::path directory_;
    std::unique_ptr<RepositorySource> source_;
    std::unique_ptr<trust::Client> trusted_;
    std::vector<ArtifactListing> listings_;
};

} // namespace slipway
