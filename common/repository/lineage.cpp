#include "common/repository/lineage.h"

#include <algorithm>

#include "common/core/errc.h"
#include "common/trust/metadata.h"

namespace slipway {
namespace fs = std::filesystem;

Result<LocalRepository> LocalRepository::open(const fs::path& directory, const fs::path& scratch) {
    LocalRepository repository;
    repository.directory_ = directory;
    repository.source_ = std::make_unique<RepositorySource>(directory.string());
    const auto root = repository.source_->fetch_metadata("1.root.json", trust::limits::root_bytes);
    if (!root) {
        return root.error().code == Errc::not_found
                   ? fail(Errc::not_found, "no repository at " + directory.string() +
                                               "; 'slipway repo init --repo DIR' makes one")
                   : tl::unexpected(root.error());
    }
    // Nothing is expired at the beginning of time.
    repository.trusted_ =
        std::make_unique<trust::Client>(scratch, *repository.source_, trust::TimePoint{});
    return repository.trusted_->trust_root(*root)
        .and_then([&] { return repository.trusted_->refresh(); })
        .and_then([&] { return list_artifacts(*repository.trusted_); })
        .map([&](std::vector<ArtifactListing> listings) {
            repository.listings_ = std::move(listings);
            return std::move(repository);
        });
}

std::vector<ArtifactListing> LocalRepository::lineage_of(const std::string& name) const {
    std::vector<ArtifactListing> lineage;
    std::ranges::copy_if(listings_, std::back_inserter(lineage),
                         [&](const ArtifactListing& listing) { return listing.id.name == name; });
    std::ranges::reverse(lineage);
    return lineage;
}

std::optional<ArtifactListing> LocalRepository::find(const ArtifactId& id) const {
    const auto found = std::ranges::find(listings_, id, &ArtifactListing::id);
    return found == listings_.end() ? std::nullopt : std::optional(*found);
}

Result<ArtifactMetadata> LocalRepository::load(const ArtifactId& id) {
    return load_artifact(*trusted_, *source_, id);
}

} // namespace slipway
