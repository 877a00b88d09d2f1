#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/format/index.h"
#include "common/format/pack.h"

namespace slipway::agent {

/// The entries of an artifact's index, by kind. Numbers are positions in `entries`.
struct Tree {
    std::vector<IndexEntry> entries; ///< In the index's order: a directory before what it holds.
    std::vector<std::uint32_t> directories;
    std::vector<std::uint32_t> files;
    std::vector<std::uint32_t> symlinks;
    std::vector<std::uint32_t> hard_links;
    std::uint64_t bytes = 0; ///< Sum of the lengths of files.
};

/// Errors: Errc::verification_failed, naming `what`.
[[nodiscard]] Result<Tree> read_tree(ByteSpan index, std::string_view what);

/// Mode bits of a file or directory as it is installed: nobody may write.
[[nodiscard]] inline unsigned installed_mode(const IndexEntry& entry) {
    return entry.mode & ~0222U;
}

/// Chunk number `i` of a file entry.
[[nodiscard]] ChunkRef chunk_of(const IndexEntry& entry, std::size_t i);

/// Of all files.
[[nodiscard]] std::size_t chunks_of(const Tree& tree);

/// Stands for a file's content: equal contents have equal keys.
[[nodiscard]] ChunkKey content_key(const IndexEntry& entry);

/// "a/b/c" is "c" in "a/b"; "c" is "c" in "".
struct SplitPath {
    std::string_view parent;
    std::string_view name;
};
[[nodiscard]] SplitPath split_path(std::string_view path);

} // namespace slipway::agent
