#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/core/tree.h"
#include "common/io/progress.h"

namespace slipway::agent {

/// A name of a tree that is not what the index says.
struct TreeFault {
    std::string path;
    std::string why;            ///< "content differs", "is missing", "is not in the index".
    std::uint32_t entry = none; ///< Its number in Tree::entries.
    static constexpr std::uint32_t none = 0xffffffff;
    bool operator==(const TreeFault&) const = default;
};

/// Faults told at most: what is beyond is counted by nobody, the tree is bad anyway.
inline constexpr std::size_t faults_max = 1000;

struct VerifyOptions {
    bool read_contents = true;  ///< Else kinds, modes, lengths and links only.
    bool look_for_extra = true; ///< Also names that the index does not have.
};

/// Reads a tree again and compares it with the index: kinds, modes, lengths, SHA-256 of every
/// chunk, symlink texts, hard links. Files are read in parallel. Gives the faults, by path; an
/// error only if it was stopped. Never follows symlinks of the tree. Memory: 1 MiB a worker.
[[nodiscard]] Result<std::vector<TreeFault>> verify_tree(const std::filesystem::path& directory,
                                                         const Tree& tree,
                                                         const VerifyOptions& options,
                                                         Progress& progress, std::stop_token stop);

} // namespace slipway::agent
