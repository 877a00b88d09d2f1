#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <unordered_set>
#include <vector>

#include "agent/core/seal.h"
#include "agent/core/space.h"
#include "agent/core/tree.h"
#include "agent/io/directory_walker.h"
#include "agent/io/installed_content.h"
#include "agent/io/space_reservation.h"
#include "common/io/progress.h"

namespace slipway::agent {

struct BuildReport {
    std::uint64_t linked_files = 0;
    std::uint64_t linked_bytes = 0;
    std::uint64_t copied_files = 0; ///< Reflinked or copied whole from an installed release.
    std::uint64_t copied_bytes = 0; ///< Of those, and of single chunks.
};

/// A chunk that is where the tree has it; its bytes do not change any more.
struct PlacedChunk {
    std::uint32_t file;  ///< Its number in Tree::entries.
    std::uint32_t chunk; ///< Of that file.
    bool is_new;         ///< Written by this run, not linked.
    ByteSpan bytes{};    ///< Its bytes, if they are at hand and were just compared with the index.
    Seal seal{}; ///< Of the installed file that it was linked or copied from, if that has one.
};

/// Where the bytes of a chunk of a large file go; open while it lives.
struct ChunkTarget {
    Fd fd;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::uint32_t file = 0;
    std::uint32_t chunk = 0;
};

/// Builds a release's tree in an empty directory.
///
/// Order of calls: make_directories and link_installed; copy_chunks and place_chunk until
/// is_complete(); then finish. Single chunks count as placed only after their SHA-256 matched the
/// index; whole files that were linked or copied are read back afterwards, and reject() takes away
/// those that proved wrong. Sources that prove wrong are distrusted in
/// `installed`, and what they were for is wanted again.
///
/// Names are walked step by step without following symlinks, and symlinks are made last. Files get
/// their final mode when they are written; directories in finish().
///
/// Threads: place_chunk(), open_target() and place_written() may be called concurrently; nothing
/// else.
class TreeBuilder {
public:
    /// `directory` exists and is empty. `tree`, `installed` and `progress` must outlive the
    /// builder.
    [[nodiscard]] static Result<std::unique_ptr<TreeBuilder>>
    start(const std::filesystem::path& directory, const Tree& tree, InstalledContent& installed,
          Progress& progress);

    /// Chunks that are not placed and that no installed release offers; none twice.
    [[nodiscard]] std::vector<ChunkRef> wanted() const;
    [[nodiscard]] bool is_part_of_tree(const ChunkKey& key) const {
        return !targets_of(key).empty();
    }
    /// What building takes on the disk.
    [[nodiscard]] Space needed() const;
    /// Whose blocks to give back as files are written; may be null.
    void use(SpaceReservation* reservation) { reservation_ = reservation; }
    /// Called for every chunk as it is placed, from any thread.
    void on_placed(std::function<void(const PlacedChunk&)> hook) { on_placed_ = std::move(hook); }

    [[nodiscard]] Result<> make_directories();
    /// Links, else reflinks, else copies every file whose content an installed release has.
    [[nodiscard]] Result<> link_installed(std::stop_token stop);
    /// Places chunks that installed releases hold as a part of other files, and makes room for
    /// large files. Comes before place_chunk().
    [[nodiscard]] Result<> copy_chunks(std::stop_token stop);

    /// Writes a chunk wherever the tree has it and it is missing. `bytes` were hashed to `digest`.
    [[nodiscard]] Result<> place_chunk(const Sha256Digest& digest, ByteSpan bytes);
    /// True if the tree still lacks it.
    [[nodiscard]] bool is_missing(const ChunkKey& key) const;
    /// Where the tree has a chunk.
    [[nodiscard]] std::optional<ChunkPlace> place_of(const ChunkKey& key) const;
    /// A place, within a large file, that lacks the chunk, to be written by the caller; none if
    /// only small files have it. Then place_written().
    [[nodiscard]] Result<std::optional<ChunkTarget>> open_target(const ChunkKey& key);
    /// The target holds the chunk: `digest` is that of the bytes written to it. Brings them to the
    /// chunk's other places too.
    [[nodiscard]] Result<> place_written(const ChunkTarget& target, const Sha256Digest& digest);

    [[nodiscard]] bool is_complete() const;
    /// Hard links, symlinks, modes of directories. The tree is then what the index says. May be
    /// repeated after reject().
    [[nodiscard]] Result<> finish();

    /// Takes a file that proved wrong away again, so that it is wanted anew, and distrusts its
    /// source. Errc::failed if it did not come from an installed release: the disk is at fault.
    [[nodiscard]] Result<> reject(std::uint32_t file);
    [[nodiscard]] const BuildReport& report() const { return report_; }

private:
    enum class Origin : std::uint8_t { none, linked, copied, written };
    struct Target { ///< One place of a chunk in the tree.
        ChunkKey key;
        std::uint32_t file; ///< Within tree_.entries.
        std::uint32_t chunk;
        bool placed = false;
    };
    TreeBuilder(WalkerPool walkers, const Tree& tree, InstalledContent& installed,
                Progress& progress);

    [[nodiscard]] static bool before(const Target& left, const Target& right);
    void mark(std::uint32_t file, bool placed);
    [[nodiscard]] std::span<const Target> targets_of(const ChunkKey& key) const;
    [[nodiscard]] std::span<Target> targets_of(const ChunkKey& key);
    [[nodiscard]] Result<> place_file(std::uint32_t file);
    [[nodiscard]] Result<> copy_file(std::uint32_t file, const InstalledContent::Match& from);
    void file_placed(std::uint32_t file, Origin origin, std::span<const Seal> seals);
    void tell(const PlacedChunk& placed) const;
    [[nodiscard]] Result<> copy_chunk(const ChunkKey& key);
    [[nodiscard]] Result<> make_empty(const IndexEntry& entry);
    [[nodiscard]] Result<> make_large(std::uint32_t file);
    [[nodiscard]] Result<> write_whole(const IndexEntry& entry, ByteSpan bytes);
    [[nodiscard]] Result<> write_part(const Target& target, ByteSpan bytes);
    [[nodiscard]] Result<> make_hard_link(const IndexEntry& entry);
    [[nodiscard]] Result<> make_symlink(const IndexEntry& entry);
    [[nodiscard]] Result<> set_directory_modes(bool final_modes);
    void distrust_later(const IndexEntry& entry);
    void apply_distrust();
    void give_back(std::uint64_t bytes);

    WalkerPool walkers_;
    const Tree& tree_;
    InstalledContent& installed_;
    Progress& progress_;
    SpaceReservation* reservation_ = nullptr;
    std::function<void(const PlacedChunk&)> on_placed_;
    std::vector<Target> targets_; ///< Ordered by key.
    std::vector<Origin> origins_; ///< By number of the entry.
    std::vector<ChunkKey> corrupt_;
    bool sealed_ = false;
    BuildReport report_;
    mutable std::mutex mutex_; ///< Guards Target::placed, origins_, corrupt_ and report_.
};

} // namespace slipway::agent
