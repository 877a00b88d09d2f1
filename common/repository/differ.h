#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/format/plan.h"
#include "common/repository/reader.h"

namespace slipway {

/// The file index of an artifact, fetched out of its base packs and checked against the manifest.
[[nodiscard]] Result<Bytes> load_index(RepositorySource& source, const ArtifactMetadata& artifact);

/// Bytes of all pieces of a pack that hold a byte of `ranges` (offset, length): what a host moves,
/// because swarms move whole pieces.
struct PackRange {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
};
[[nodiscard]] std::uint64_t piece_rounded(std::uint64_t pack_bytes, std::vector<PackRange> ranges);

struct TreeDiff {
    /// Paths in the order of the index, at most `limit` of each.
    std::vector<std::string> added;
    std::vector<std::string> changed; ///< Content, kind, mode or target.
    std::vector<std::string> removed;
    std::uint64_t added_count = 0;
    std::uint64_t changed_count = 0;
    std::uint64_t removed_count = 0;
    /// What a host that has `from` fetches to have `to`, in whole pieces, tables of contents and
    /// file index included.
    std::uint64_t fetch_bytes = 0;
    /// The same for a host that has nothing.
    std::uint64_t full_bytes = 0;
};

/// Errors: those of load_artifact() and of fetching; Errc::not_found if the packs are not whole.
[[nodiscard]] Result<TreeDiff> diff_artifacts(RepositorySource& source,
                                              const ArtifactMetadata& from,
                                              const ArtifactMetadata& to, std::size_t limit);

} // namespace slipway
