#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "agent/io/content_check.h"
#include "agent/io/directory_walker.h"
#include "agent/io/tree_builder.h"
#include "agent/io/tree_verifier.h"
#include "common/io/progress.h"

namespace slipway::agent {

/// Reads the files of a tree back and compares them with its index while the tree is still being
/// built: the disk and the processors work at the same time.
///
/// What was written is read from the disk, whatever the page cache holds. Large chunks are read as
/// soon as they are placed. To ask the disk for small ones one by one would have them written one
/// by one: each time that enough of them wait, their file system is synced; the last after
/// synced().
///
/// What was right gets a seal (agent/core/seal.h). One that is known already is checked instead of
/// SHA-256: of bytes that were written from memory, and of files that come from a release that has
/// its seals.
///
/// Threads: add() may be called concurrently. Its own threads end in finish() or the destructor.
class ReadBack {
public:
    /// `tree` and `progress` must outlive it. Error: `directory` cannot be opened.
    [[nodiscard]] static Result<std::unique_ptr<ReadBack>>
    start(const std::filesystem::path& directory, const Tree& tree, const SealKey& key,
          Progress& progress);
    ~ReadBack(); ///< Gives up what was not read yet.
    ReadBack(const ReadBack&) = delete;
    ReadBack& operator=(const ReadBack&) = delete;

    /// The chunk's bytes are in their place and stay as they are.
    void add(const PlacedChunk& placed);
    /// Everything added was written to the disk.
    void synced();
    /// Bytes that were added and not read yet.
    [[nodiscard]] std::uint64_t waiting_bytes() const;
    /// Waits until everything added was read, after synced(). The faults, in no order; none if all
    /// is right. Then more can be added. `phase_bytes`: waiting_bytes() when the phase began whose
    /// progress this is; what was read since then counts at once. Error: Errc::cancelled.
    [[nodiscard]] Result<std::vector<TreeFault>> finish(std::stop_token stop,
                                                        std::uint64_t phase_bytes = 0);
    /// Of every chunk that was read, in the index's order; after finish().
    [[nodiscard]] const std::vector<Seal>& seals() const { return seals_; }

private:
    struct Item {
        FileChunk at;
        ReadFrom from;
    };
    ReadBack(WalkerPool walkers, const Tree& tree, const SealKey& key, Progress& progress);
    void work(const std::stop_token& stop);
    void write_waiting(std::unique_lock<std::mutex>& lock);
    void read_next(std::unique_lock<std::mutex>& lock, Sealing& sealing);
    [[nodiscard]] bool must_write() const;
    [[nodiscard]] bool all_read() const {
        return ready_.empty() && after_sync_.empty() && reading_ == 0 && !writing_;
    }
    [[nodiscard]] std::uint64_t bytes_of(FileChunk at) const;
    [[nodiscard]] CheckedContent read(FileChunk at, ReadFrom from, Sealing& sealing,
                                      const Seal& known);
    [[nodiscard]] std::size_t seal_of(FileChunk at) const {
        return first_seals_[at.file] + at.chunk;
    }

    WalkerPool walkers_;
    const Tree& tree_;
    SealKey key_;
    Progress& progress_;
    std::vector<std::size_t> first_seals_; ///< By number of the entry, within seals_.
    mutable std::mutex mutex_;             ///< Guards what follows.
    std::condition_variable_any changed_;
    std::deque<Item> ready_;
    std::vector<Item> after_sync_;
    std::uint64_t after_sync_bytes_ = 0;
    bool writing_ = false;
    std::size_t reading_ = 0;
    std::uint64_t waiting_bytes_ = 0;
    bool shows_progress_ = false;
    std::vector<TreeFault> faults_;
    std::vector<Seal> seals_;
    std::vector<std::jthread> threads_; ///< Last: they use all of the above.
};

} // namespace slipway::agent
