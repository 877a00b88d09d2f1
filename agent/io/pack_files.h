#pragma once

#include <filesystem>
#include <stop_token>
#include <vector>

#include "agent/core/fetch_plan.h"
#include "common/core/merkle.h"
#include "common/format/pack.h"
#include "common/io/progress.h"

namespace slipway::agent {

/// A pack on this host: sparse, with the pieces that were fetched.
struct PackFile {
    PackId id;
    std::filesystem::path file;
    std::vector<Sha256Digest> layer; ///< Of the verified metainfo.
    Bytes metainfo;
    std::vector<bool> verified = {}; ///< Pieces seen to be right, so that none is read twice.
};

/// The pieces that touch `wanted` and are not on the disk, or not right there, as ranges. Reads
/// only those that it has not read before, on all cores, and notes the right ones in
/// `pack.verified`. A file that is missing or short has nothing. `progress`, if given, hears of
/// each piece that was read, as of 0 bytes: nothing came.
[[nodiscard]] Result<std::vector<Range>> missing_ranges(PackFile& pack,
                                                        const std::vector<Range>& wanted,
                                                        std::stop_token stop,
                                                        Progress* progress = nullptr);

/// Notes that the pieces of `ranges` were verified when they were fetched.
void note_verified(PackFile& pack, const std::vector<Range>& ranges);

/// Has the disk promise the blocks of `ranges`. std::errc::no_space_on_device if it cannot.
[[nodiscard]] Result<> reserve_ranges(const PackFile& pack, const std::vector<Range>& ranges);

/// Copies `ranges`, which are whole pieces, from the same pack in a repository's directory. Every
/// piece is checked before it is written; Errc::verification_failed names the source.
[[nodiscard]] Result<> copy_ranges(const PackFile& pack, const std::filesystem::path& source,
                                   const std::vector<Range>& ranges, Progress& progress,
                                   std::stop_token stop);

} // namespace slipway::agent
