#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

#include "common/core/merkle.h"
#include "common/delta/codec.h"
#include "common/format/pack.h"
#include "common/io/progress.h"
#include "common/repository/temporary_file.h"

namespace slipway {

/// A block that is to be encoded.
struct EncodeJob {
    std::vector<ChunkRef> bases;
    std::vector<ChunkRef> chunks;
    std::uint64_t memory_bytes = 0; ///< Upper bound of what encode() holds, result included.
    /// Thread-safe. Nothing: no encoding is worth its place, and the block is left out.
    std::function<Result<std::optional<Encoded>>()> encode;
};

/// A pack that is in its place in the repository, synced.
struct WrittenPack {
    PiecesRoot pieces;
    std::uint64_t toc_offset = 0;
    std::uint64_t toc_bytes = 0;
    PackToc toc;
};

struct PackOptions {
    std::filesystem::path directory; ///< `packs` of the repository.
    unsigned workers = 1;
    std::uint64_t memory_bytes_max = 0;
    Progress* progress = nullptr; ///< Counts raw bytes; may be nullptr.
    /// Called before a pack gets its name, if set.
    std::function<Result<>(const PackId&)> announce;
};

/// Encodes the jobs in parallel and writes their blocks in order: equal jobs give equal packs.
/// Nothing is written if no block is kept. After a failure or a stop request only a temporary file
/// was there, and it is removed. Errors: those of encode(), the disk's, Errc::cancelled.
[[nodiscard]] Result<std::optional<WrittenPack>> write_pack(const std::vector<EncodeJob>& jobs,
                                                            const PackOptions& options,
                                                            const std::stop_token& stop);

} // namespace slipway
