#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/format/plan.h"
#include "common/repository/chunk_vault.h"
#include "common/repository/lineage.h"
#include "common/repository/publisher.h"
#include "tests/scratch_directory.h"

namespace slipway::tests {

/// A repository in a scratch directory, and calls as the commands make them.
class SampleRepository {
public:
    SampleRepository();
    [[nodiscard]] std::filesystem::path path() const { return scratch_ / "repo"; }
    [[nodiscard]] PublishRequest request(const std::string& id,
                                         const std::filesystem::path& tree) const;
    [[nodiscard]] Result<PublishResult> publish(const std::string& id,
                                                const std::filesystem::path& tree) const;
    [[nodiscard]] ArtifactMetadata load(const std::string& id) const;
    /// File names in packs/, temporary ones included.
    [[nodiscard]] std::vector<std::string> pack_files() const;
    [[nodiscard]] const ScratchDirectory& scratch() const { return scratch_; }

private:
    ScratchDirectory scratch_;
};

/// A host reduced to what plans and blocks need: the chunks that it has, in memory.
class SampleHost {
public:
    explicit SampleHost(const SampleRepository& repository) : shelf_(repository.path()) {}

    /// Fetches an artifact as an agent would; every chunk is checked. Gives the bytes of the
    /// blocks.
    std::uint64_t install(const ArtifactMetadata& artifact);
    /// The index entries of what was installed last.
    [[nodiscard]] const std::vector<IndexEntry>& entries() const { return entries_; }
    [[nodiscard]] std::string content(const IndexEntry& file) const;

private:
    std::uint64_t fetch(const ArtifactMetadata& artifact, const std::vector<ChunkRef>& wanted);
    [[nodiscard]] Bytes gather(const std::vector<ChunkRef>& chunks) const;

    PackShelf shelf_;
    std::map<ChunkKey, Bytes> chunks_;
    std::vector<Sha256Digest> have_;
    std::vector<IndexEntry> entries_;
};

} // namespace slipway::tests
