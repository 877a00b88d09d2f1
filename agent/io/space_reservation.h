#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>

#include "agent/core/space.h"
#include "common/io/file_ops.h"

namespace slipway::agent {

/// What the file system of `path` has available to this user.
[[nodiscard]] Result<Space> free_space(const std::filesystem::path& path);

/// Blocks of the disk held by a file until the bytes that they are for are written: others cannot
/// take them, so a full disk is found before the first payload byte and not in the middle.
/// Thread-safe. A file system without fallocate(2) reserves nothing; free_space() was all there is.
class SpaceReservation {
public:
    /// Makes `file` with `bytes` allocated. std::errc::no_space_on_device if they are not to be
    /// had; the file is removed then.
    [[nodiscard]] static Result<std::unique_ptr<SpaceReservation>>
    take(const std::filesystem::path& file, std::uint64_t bytes);
    ~SpaceReservation(); ///< Gives back what is left and removes the file.
    SpaceReservation(const SpaceReservation&) = delete;
    SpaceReservation& operator=(const SpaceReservation&) = delete;

    /// Gives back `bytes`, which are about to be written. Cheap: the file shrinks in steps.
    void give_back(std::uint64_t bytes);

private:
    SpaceReservation(Fd fd, std::filesystem::path file, std::uint64_t bytes);
    Fd fd_;
    std::filesystem::path file_;
    std::uint64_t held_bytes_;
    std::atomic<std::uint64_t> due_bytes_ = 0; ///< Asked for, and not yet given back.
    std::mutex mutex_;
};

} // namespace slipway::agent
