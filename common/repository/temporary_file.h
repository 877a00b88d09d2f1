#pragma once

#include <filesystem>
#include <string_view>
#include <utility>

#include "common/io/file_ops.h"

namespace slipway {

/// A new file under a temporary name (file_ops.h) that is removed with this object, unless it was
/// renamed by keep_as(). After a crash a sweep finds it by its name.
class TemporaryFile {
public:
    [[nodiscard]] static Result<TemporaryFile> create(const std::filesystem::path& directory,
                                                      std::string_view stem);
    TemporaryFile() = default;
    ~TemporaryFile();
    TemporaryFile(TemporaryFile&& other) noexcept
        : fd_(std::move(other.fd_)), path_(std::exchange(other.path_, {})) {}
    TemporaryFile& operator=(TemporaryFile&& other) noexcept;
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;

    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    /// Syncs, renames to `final_path` in the same file system with mode 0644, syncs the directory.
    [[nodiscard]] Result<> keep_as(const std::filesystem::path& final_path);

private:
    Fd fd_;
    std::filesystem::path path_;
};

/// Removes what earlier, killed runs left in `directory`: only files with temporary names. The
/// caller holds the lock under which such files are made.
[[nodiscard]] Result<> sweep_temporary_files(const std::filesystem::path& directory);

} // namespace slipway
