#pragma once

#include <optional>
#include <vector>

#include "common/core/bytes.h"
#include "common/delta/address_map.h"

namespace slipway {

/// What an x86-64 ELF file says about its own addresses.
struct ElfLayout {
    std::vector<Segment> segments;      ///< PT_LOAD with bytes in the file.
    std::vector<bool> executable;       ///< Of each segment.
    std::vector<std::uint64_t> anchors; ///< Addresses that tables in it count from.
};

/// None for anything but a little-endian 64-bit x86-64 ELF file whose segments lie in `file`.
/// Only the encoder asks: what it finds goes into the patch, so that decoding never parses ELF.
[[nodiscard]] std::optional<ElfLayout> elf_layout(ByteSpan file);

} // namespace slipway
