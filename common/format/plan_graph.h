#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "common/format/plan.h"

namespace slipway {

/// Chunks and blocks of a plan's packs, numbered densely. Blocks are numbered pack by pack in the
/// order of their offsets; equal inputs give equal numbers.
class PlanGraph {
public:
    using Chunk = std::uint32_t;
    using BlockId = std::uint32_t;
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

    explicit PlanGraph(const PlanInput& input);

    [[nodiscard]] std::size_t chunk_total() const { return at_hand_.size(); }
    [[nodiscard]] std::size_t block_total() const { return cost_.size(); }
    /// Chunks that are wanted and not at hand.
    [[nodiscard]] const std::vector<Chunk>& wanted() const { return wanted_; }
    /// The first wanted chunk that no block holds, or nullptr.
    [[nodiscard]] const ChunkRef* unknown() const { return unknown_; }
    [[nodiscard]] bool at_hand(Chunk chunk) const { return at_hand_[chunk]; }
    [[nodiscard]] const ChunkKey& key_of(Chunk chunk) const { return keys_[chunk]; }

    [[nodiscard]] std::uint64_t cost(BlockId block) const { return cost_[block]; }
    [[nodiscard]] std::span<const Chunk> bases(BlockId block) const { return bases_.of(block); }
    [[nodiscard]] std::span<const Chunk> chunks(BlockId block) const { return chunks_.of(block); }
    /// Blocks that decode to `chunk`, and blocks that have it as a base.
    [[nodiscard]] std::span<const BlockId> makers(Chunk chunk) const { return makers_.of(chunk); }
    [[nodiscard]] std::span<const BlockId> users(Chunk chunk) const { return users_.of(chunk); }
    [[nodiscard]] PlannedBlock planned(BlockId block) const { return planned_[block]; }

private:
    /// Rows of numbers, one after the other.
    struct Rows {
        std::vector<std::uint32_t> begins{0};
        std::vector<std::uint32_t> values;
        [[nodiscard]] std::span<const std::uint32_t> of(std::uint32_t row) const {
            return std::span(values).subspan(begins[row], begins[row + 1] - begins[row]);
        }
        [[nodiscard]] Rows transposed(std::size_t rows) const;
    };

    std::vector<bool> at_hand_;
    std::vector<ChunkKey> keys_;
    std::vector<Chunk> wanted_;
    const ChunkRef* unknown_ = nullptr;
    std::vector<std::uint64_t> cost_;
    std::vector<PlannedBlock> planned_;
    Rows bases_;
    Rows chunks_;
    Rows makers_;
    Rows users_;
};

} // namespace slipway
