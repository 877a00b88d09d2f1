#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/format/index.h"
#include "common/format/plan.h"

namespace slipway::agent {

/// A run of bytes of a file.
struct Range {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    bool operator==(const Range&) const = default;
};

/// Sorted, with overlapping and touching ranges made one; empty ranges dropped.
[[nodiscard]] std::vector<Range> merged(std::vector<Range> ranges);

/// `ranges` widened to whole pieces of `piece_bytes`, cut off at `file_bytes`; merged.
[[nodiscard]] std::vector<Range> rounded_to_pieces(const std::vector<Range>& ranges,
                                                   std::uint32_t piece_bytes,
                                                   std::uint64_t file_bytes);

[[nodiscard]] std::uint64_t total_bytes(std::span<const Range> ranges);

/// Where the planned blocks are in each pack; element i belongs to pack i.
[[nodiscard]] std::vector<std::vector<Range>> ranges_of(const Plan& plan,
                                                        std::span<const PackToc* const> packs);

/// The plan's blocks in waves: those of one wave need nothing of each other, and each one's bases
/// are available or decoded in an earlier wave. Within a wave by pack and offset.
[[nodiscard]] std::vector<std::vector<PlannedBlock>>
decode_waves(const Plan& plan, std::span<const PackToc* const> packs);

/// Blocks' chunks that are no part of the tree but a base of another block: they need scratch
/// space. `wanted` tells what is part of the tree.
[[nodiscard]] std::uint64_t scratch_bytes(const Plan& plan, std::span<const PackToc* const> packs,
                                          const std::unordered_set<ChunkKey>& wanted);

} // namespace slipway::agent
