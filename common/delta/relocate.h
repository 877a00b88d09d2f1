#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/core/bytes.h"
#include "common/delta/address_map.h"

namespace slipway {

/// What the addresses in a block of the base look like (docs/format-sdiff.md).
enum class FieldKind : std::uint8_t {
    none = 0,
    x86_code = 1,      ///< 32-bit displacements of x86-64 instructions.
    absolute_64 = 2,   ///< Aligned 64-bit addresses.
    self_relative = 3, ///< Aligned 32-bit distances from the field itself.
    anchored = 4,      ///< 4 + i: aligned 32-bit distances from anchor number i.
};
inline constexpr std::size_t anchors_max = 16;
inline constexpr std::size_t segments_max = 16;
/// Fields are looked for inside of such a block of the base; one kind for each block.
inline constexpr std::size_t field_block_bytes = 4096;

/// An address from which fields count, in the base's program and in the new one.
struct Anchor {
    std::uint64_t base = 0;
    std::uint64_t now = 0;
};

/// What is known about the two programs beyond their bytes.
struct ProgramLayout {
    std::vector<SegmentPair> segments;
    std::vector<Anchor> anchors;
    std::vector<std::uint8_t> kinds; ///< FieldKind of each block of the base.
};

/// Rewrites the fields of `piece`, which holds the base's bytes from `base_offset` on and will
/// stand at `at` of the new bytes, as if all that they point to had moved as `map` says.
/// `piece` lies within one block of the base.
void relocate(std::span<std::uint8_t> piece, std::uint64_t base_offset, std::uint64_t at,
              std::uint8_t kind, const AddressMap& map, std::span<const Anchor> anchors);

/// `program` with zeros for all displacements in `code_offset`..+`code_bytes` that point into
/// `segments`: what recompiling leaves alone.
void mask_displacements(std::span<std::uint8_t> program, std::span<const Segment> segments,
                        const Segment& code);

} // namespace slipway
