#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "agent/core/seal.h"
#include "agent/core/tree.h"
#include "agent/io/release_store.h"
#include "common/io/file_ops.h"

namespace slipway::agent {

/// Bytes of a chunk within a file on this host.
struct ChunkPlace {
    std::filesystem::path file;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;

    /// Maps it for reading. A file too short is Errc::verification_failed.
    [[nodiscard]] Result<MappedFile> map() const;
};

/// What the installed releases of a service hold, file by file and chunk by chunk, as their indexes
/// say. Nothing is read but the indexes and seals: what is used is verified when it is used, and
/// distrusted if it proves wrong. Not thread-safe; concurrent reads are fine.
class InstalledContent {
public:
    /// Reads the indexes of all whole releases. One that does not parse gives nothing.
    [[nodiscard]] static Result<InstalledContent> read(const ReleaseStore& store);

    /// A file that has `entry`'s content; with the same installed mode if there is one.
    struct Match {
        std::filesystem::path file;
        bool same_mode = false;
        std::span<const Seal> seals{}; ///< Of its chunks, one each, or none at all.
    };
    [[nodiscard]] std::optional<Match> find_file(const IndexEntry& entry) const;
    [[nodiscard]] std::optional<ChunkPlace> find_chunk(const ChunkKey& key) const;

    /// Chunks that are here, the distrusted ones left out.
    [[nodiscard]] const std::unordered_set<ChunkKey>& chunks() const { return chunks_; }
    [[nodiscard]] const std::unordered_set<ChunkKey>& distrusted() const { return distrusted_; }
    /// `key` is not offered again, nor a file that it is part of.
    void distrust(const ChunkKey& key);

private:
    struct File {
        std::uint32_t root;
        std::uint32_t mode;
        std::uint64_t bytes;
        std::string path;
        std::size_t first_seal; ///< Of its release's.
    };
    struct Root {
        std::filesystem::path directory;
        std::vector<Seal> seals; ///< One a chunk, or none at all.
    };
    struct ChunkAt {
        std::uint32_t file;
        std::uint32_t number;
    };
    void add_release(const ReleaseStore& store, const ReleaseId& id);
    void add_file(std::uint32_t root, const IndexEntry& entry, std::size_t first_seal);
    [[nodiscard]] std::filesystem::path path_of(const File& file) const {
        return roots_[file.root].directory / file.path;
    }

    std::vector<Root> roots_;
    std::vector<File> files_;
    std::unordered_multimap<ChunkKey, std::uint32_t> by_content_; ///< Within files_.
    std::unordered_map<ChunkKey, ChunkAt> by_chunk_;
    std::unordered_set<ChunkKey> chunks_;
    std::unordered_set<ChunkKey> distrusted_;
};

} // namespace slipway::agent
