#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace slipway {

/// Above this a chunk gets a block of its own; what is smaller is grouped.
inline constexpr std::uint64_t small_chunk_bytes_max = 1024ULL * 1024;
/// Length of a group of small chunks at which the next one begins: long enough to compress like
/// the whole, short enough that a host which needs one chunk of it fetches little else.
inline constexpr std::uint64_t full_group_bytes = 4ULL * 1024 * 1024;
/// Patches are decoded against bases that a host reads anyway, so their groups can be longer.
inline constexpr std::uint64_t patch_group_bytes = 8ULL * 1024 * 1024;
inline constexpr std::uint64_t patch_group_base_bytes = 32ULL * 1024 * 1024;
inline constexpr std::size_t group_chunks_max = std::size_t{16} * 1024;

/// A chunk for which a block is to be found.
struct Arrangeable {
    std::string_view path;
    std::uint64_t bytes = 0;
    std::uint64_t base_bytes = 0; ///< Of a patch: length of its bases.
    bool apart = false;           ///< It must not share a block (the file index).
    /// Chunks of different cohorts do not share a block; lower ones come first.
    unsigned cohort = 0;
};

struct GroupLimits {
    std::uint64_t bytes = full_group_bytes;
    std::uint64_t base_bytes = 0; ///< 0: no limit.
};

/// Which chunks share a block: alike files side by side (by extension, then base name, then path),
/// in groups of about `limits`; large chunks and those apart alone. Pure and deterministic: numbers
/// of `chunks` by block, in the order in which they stand in the pack.
[[nodiscard]] std::vector<std::vector<std::size_t>> arrange(const std::vector<Arrangeable>& chunks,
                                                            GroupLimits limits);

} // namespace slipway
