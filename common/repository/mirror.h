#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/core/names.h"
#include "common/io/progress.h"
#include "common/repository/reader.h"

namespace slipway {

struct MirrorRequest {
    std::filesystem::path directory;           ///< Of the mirror; created.
    std::optional<std::filesystem::path> root; ///< Trusted root.json; needed the first time.
    ArtifactId artifact;                       ///< Whose earlier versions are needed.
    std::optional<std::vector<std::string>> patch_from; ///< As in PublishRequest.
    trust::TimePoint now;
    Progress* progress = nullptr; ///< May be nullptr.
};

/// What a mirror was brought to.
struct MirrorState {
    bool is_published = false; ///< The remote repository lists the artifact.
    /// The mirror was left alone because the artifact was published in it before, on top of what
    /// the remote repository still is: a push that did not come to its end.
    bool is_resumed = false;
};

/// A local copy of as much of a remote repository as publishing the next version of one name takes,
/// in a directory that stays between runs:
///
///     metadata/ targets/ packs/    a repository (layout.h) for publish()
///     trusted/                     the remote's metadata as verified last: no rollback goes unseen
///     partial/                     packs that are still being fetched
///     base.json                    what the metadata was before anything was published into it
///
/// Fetched are the manifests and pack maps of the newest 16 versions of the name, their base packs,
/// and all packs of the versions that patches are made from; a pack once, checked against its
/// address. A fetch that breaks off goes on where it stopped.
///
/// Errors: those of trust::Client and of the network, naming the remote; Errc::usage without a
/// trusted root the first time.
[[nodiscard]] Result<MirrorState>
update_mirror(RepositorySource& remote, const MirrorRequest& request, const std::stop_token& stop);

/// Files of the mirror's metadata/ that the remote repository lacks, oldest first; timestamp.json
/// is not among them.
[[nodiscard]] Result<std::vector<std::string>> new_metadata(const std::filesystem::path& mirror);

} // namespace slipway
