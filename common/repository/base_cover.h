#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/format/pack.h"

namespace slipway {

/// More base packs than this make a fresh host open too many swarms; less of the raw bytes in the
/// blocks that it fetches being of use makes it fetch too much. Then everything is written anew.
inline constexpr std::size_t base_packs_max = 24;
inline constexpr double live_share_min = 0.7;

/// How packs that are there already hold a set of chunks in full.
struct BaseCover {
    std::vector<std::size_t> packs;   ///< Numbers of the packs that are used, ascending.
    std::vector<std::size_t> missing; ///< Numbers of the chunks that none holds in full.
    std::uint64_t live_bytes = 0;     ///< Of the needed chunks in the blocks that are used.
    std::uint64_t block_bytes = 0;    ///< Of all chunks in those blocks.

    /// True if the rules above say that a new pack should hold everything.
    [[nodiscard]] bool should_repack() const;
};

/// Pure. Packs with more of the needed chunks are preferred, then those that stand first.
[[nodiscard]] BaseCover cover_by_packs(std::span<const ChunkRef> needed,
                                       std::span<const PackToc* const> packs);

} // namespace slipway
