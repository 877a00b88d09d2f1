#pragma once

#include <cstdint>
#include <string>

#include "common/core/result.h"

namespace slipway::agent {

/// What an install will take on the disk, or what a disk has left.
struct Space {
    std::uint64_t bytes = 0;
    std::uint64_t inodes = 0;
    bool operator==(const Space&) const = default;
};

/// What is left after this much was used up by directory blocks, journals and the like: an install
/// leaves 1 MiB and one part in 256 of its own size.
[[nodiscard]] Space with_overhead(const Space& need);

/// std::errc::no_space_on_device if `free` does not cover `need`; the context says how much is
/// needed, how much there is, and where. A file system without a limit on inodes reports 0 in all:
/// pass UINT64_MAX then.
[[nodiscard]] Result<> check_space(const Space& need, const Space& free, const std::string& where);

/// "1.50 GiB", "12 KiB", "7 bytes".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);

} // namespace slipway::agent
