#pragma once

#include <cstdint>
#include <filesystem>

#include "common/core/bytes.h"
#include "common/core/result.h"

namespace slipway::agent {

/// The calls by which switching, recovery and removal change the disk. An interface so that a test
/// can fail each of them in turn; each either happens or does not, as far as POSIX says so.
class FileOps {
public:
    virtual ~FileOps() = default;
    /// With all missing parents. A directory that exists is fine.
    [[nodiscard]] virtual Result<> make_directory(const std::filesystem::path& path) = 0;
    [[nodiscard]] virtual Result<> make_symlink(const std::filesystem::path& target,
                                                const std::filesystem::path& path) = 0;
    [[nodiscard]] virtual Result<> rename(const std::filesystem::path& from,
                                          const std::filesystem::path& to) = 0;
    /// The two existing names change places at one instant (RENAME_EXCHANGE); on a file system
    /// without it `to` is missing for a moment.
    [[nodiscard]] virtual Result<> exchange(const std::filesystem::path& from,
                                            const std::filesystem::path& to) = 0;
    /// Atomic and durable: slipway::replace_file().
    [[nodiscard]] virtual Result<> replace_file(const std::filesystem::path& path,
                                                ByteSpan bytes) = 0;
    /// Atomic, with durable bytes; the name is durable with the next sync_directory().
    [[nodiscard]] virtual Result<> put_file(const std::filesystem::path& path, ByteSpan bytes) = 0;
    /// Removes a file, a symlink or a whole tree (never through a symlink; read-only directories
    /// too). What is not there is fine.
    [[nodiscard]] virtual Result<> remove(const std::filesystem::path& path) = 0;
    [[nodiscard]] virtual Result<> set_mode(const std::filesystem::path& directory,
                                            unsigned mode) = 0;
    /// A file whose only use is that its `bytes` can be had back by removing it.
    [[nodiscard]] virtual Result<> make_spare(const std::filesystem::path& path,
                                              std::uint64_t bytes) = 0;
    [[nodiscard]] virtual Result<> sync_directory(const std::filesystem::path& path) = 0;
};

class RealFileOps final : public FileOps {
public:
    Result<> make_directory(const std::filesystem::path& path) override;
    Result<> make_symlink(const std::filesystem::path& target,
                          const std::filesystem::path& path) override;
    Result<> rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
    Result<> exchange(const std::filesystem::path& from, const std::filesystem::path& to) override;
    Result<> replace_file(const std::filesystem::path& path, ByteSpan bytes) override;
    Result<> put_file(const std::filesystem::path& path, ByteSpan bytes) override;
    Result<> remove(const std::filesystem::path& path) override;
    Result<> set_mode(const std::filesystem::path& directory, unsigned mode) override;
    Result<> make_spare(const std::filesystem::path& path, std::uint64_t bytes) override;
    Result<> sync_directory(const std::filesystem::path& path) override;
};

} // namespace slipway::agent
