#pragma once

#include <filesystem>
#include <string_view>
#include <utility>

#include "common/io/file_ops.h"
#include "common/io/progress.h"

namespace slipway {

/// The right to write into a repository on this machine, for as long as this object lives, with an
/// empty directory for temporary files in the repository's own file system. What a killed run left
/// is swept on the way in.
class Workspace {
public:
    /// Waits for another publisher up to `patience_ms`; `progress` (may be nullptr) says so.
    /// Errors: Errc::not_found if there is no repository, Errc::busy naming the holder, the disk's.
    [[nodiscard]] static Result<Workspace> open(const std::filesystem::path& repository,
                                                std::string_view purpose, unsigned patience_ms,
                                                Progress* progress);
    ~Workspace();
    Workspace(Workspace&& other) noexcept
        : lock_(std::move(other.lock_)), temporary_(std::exchange(other.temporary_, {})) {}
    Workspace& operator=(Workspace&&) noexcept = delete;
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;

    [[nodiscard]] const std::filesystem::path& temporary() const { return temporary_; }

private:
    Workspace(FileLock lock, std::filesystem::path temporary)
        : lock_(std::move(lock)), temporary_(std::move(temporary)) {}
    FileLock lock_;
    std::filesystem::path temporary_; ///< Empty after a move.
};

} // namespace slipway
