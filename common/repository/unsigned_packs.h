#pragma once

#include <filesystem>

#include "common/format/pack.h"
#include "common/repository/lineage.h"

namespace slipway {

/// Names of packs that stand in the repository and are not yet signed for, one a line in its file
/// `.unsigned`: what a publication that is killed between its packs and its signature leaves.
/// All of it under the repository's lock.
///
/// To be called before a pack gets its name; synced.
[[nodiscard]] Result<> note_unsigned_pack(const std::filesystem::path& repository,
                                          const PackId& pack);
/// To be called when the signature is in place: all of them are named by a pack map now.
[[nodiscard]] Result<> forget_unsigned_packs(const std::filesystem::path& repository);
/// Removes the noted packs that no pack map of the signed artifacts names, and the note. Does
/// nothing if a pack map cannot be read, because it could name them. Without a note it reads
/// nothing.
[[nodiscard]] Result<> sweep_unsigned_packs(LocalRepository& repository);

} // namespace slipway
