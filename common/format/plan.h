#pragma once

#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

#include "common/format/pack.h"

namespace slipway {

/// One block to fetch and decode. Numbers index PlanInput::packs and that pack's blocks.
struct PlannedBlock {
    std::uint32_t pack = 0;
    std::uint32_t block = 0;
    auto operator<=>(const PlannedBlock&) const = default;
};

/// How to get chunks: blocks in an order in which the bases of each are at hand (available before,
/// or decoded by an earlier block).
struct Plan {
    std::vector<PlannedBlock> blocks;
    std::uint64_t fetch_bytes = 0; ///< Encoded bytes of the blocks (not rounded to pieces).
};

struct PlanPack {
    const PackToc* toc = nullptr; ///< Must outlive make_plan().
};

struct PlanInput {
    /// Chunks to obtain; those that are available and trusted cost nothing and are skipped.
    std::span<const ChunkRef> wanted;
    const std::unordered_set<ChunkKey>* available = nullptr; ///< Chunks on this host.
    /// Chunks on this host that must not be used as bases because they proved to be corrupt.
    const std::unordered_set<ChunkKey>* distrusted = nullptr;
    std::span<const PlanPack> packs;
};

/// Chooses blocks for all wanted chunks that move few bytes: patches, chains of patches, full
/// blocks, or a mix. Pure; equal inputs give equal plans. Guarantee: never more bytes than the
/// cheapest cover by full blocks alone that a greedy choice finds.
/// Error: Errc::not_found, naming a chunk that no pack leads to.
[[nodiscard]] Result<Plan> make_plan(const PlanInput& input);

/// Which packs' tables of contents a host reads, in rounds: the first round is tried alone, the
/// next is added when the plan found no way (Errc::not_found). Numbers index `map.packs`.
/// `have`: digests of the manifests whose chunks the host has. With patch packs that lead from one
/// of them, the first round is those and the newest base pack, so that an upgrade does not read the
/// tables of the packs that hold what the host has anyway.
[[nodiscard]] std::vector<std::vector<std::size_t>> toc_rounds(const PackMap& map,
                                                               std::span<const Sha256Digest> have);

} // namespace slipway
