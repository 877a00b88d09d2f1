#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "common/format/pack.h"
#include "common/repository/block_decode.h"
#include "common/repository/temporary_file.h"

namespace slipway {

/// Packs of a repository on this machine, with their tables of contents, which are read once.
/// Not thread-safe.
class PackShelf {
public:
    explicit PackShelf(std::filesystem::path repository) : repository_(std::move(repository)) {}
    /// Checked as far as the table's own format goes. Errors name the pack's file. The pointer is
    /// valid as long as the shelf.
    [[nodiscard]] Result<const PackToc*> toc(const PackEntry& pack);
    [[nodiscard]] std::filesystem::path path(const PackId& pack) const;

private:
    std::filesystem::path repository_;
    std::map<PackId, std::unique_ptr<PackToc>> tocs_;
};

/// Chunks of earlier versions, decoded out of packs into temporary files, so that new versions can
/// be compared with them and patched against them. Every chunk is checked against its key.
class ChunkVault {
public:
    /// `shelf` must outlive the vault; `temporary` is a directory for its files.
    ChunkVault(PackShelf& shelf, std::filesystem::path temporary)
        : shelf_(shelf), temporary_(std::move(temporary)) {}

    /// Puts `wanted` into the vault, and what is needed on the way; what is there already is
    /// skipped. Chunks that stand side by side in `wanted` can then be gathered without a copy.
    /// Errors: Errc::not_found, Errc::verification_failed naming the pack, the disk's.
    [[nodiscard]] Result<> fill(std::span<const PackEntry> packs,
                                const std::vector<ChunkRef>& wanted, const std::stop_token& stop);
    [[nodiscard]] const ChunkPlaces& places() const { return places_; }
    [[nodiscard]] Result<ChunkBytes> read(const ChunkRef& chunk) const {
        return places_.gather(std::span(&chunk, 1));
    }

private:
    PackShelf& shelf_;
    std::filesystem::path temporary_;
    std::vector<TemporaryFile> files_;
    ChunkPlaces places_;
};

} // namespace slipway
