#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

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
/// say. Nothing is read but the indexes: what is used is verified when it is used, and distrusted
/// if it proves wrong. Not thread-safe; concurrent reads are fine.
class InstalledContent {
public:
    /// Reads the indexes of all whole releases. One that does not parse gives nothing.
    [[nodiscard]] static Result<InstalledContent> read(const ReleaseStore& store);

    /// A file that has `entry`'s content; with the same installed mode if there is one.
    struct Match {
        std::filesystem::path file;
        bool same_mode = false;
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
    };
    struct ChunkAt {
        std::uint32_t file;
        std::uint32_t number;
    };
    void add_release(const ReleaseStore& store, const ReleaseId& id);
    void add_file(std::uint32_t root, const IndexEntry& entry);

    std::vector<std::filesystem::path> roots_;
    std::vector<File> files_;
    std::unordered_multimap<ChunkKey, std::uint32_t> by_content_; ///< Within files_.
    std::unordered_map<ChunkKey, ChunkAt> by_chunk_;
    std::unordered_set<ChunkKey> chunks_;
    std::unordered_set<ChunkKey> distrusted_;
};

} // namespace slipway::agent
