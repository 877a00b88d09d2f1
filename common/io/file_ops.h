#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "common/core/bytes.h"
#include "common/core/result.h"

namespace slipway {

/// A file descriptor that closes itself.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    ~Fd();
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept;
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    [[nodiscard]] int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

/// Opens with O_CLOEXEC. `flags` and `mode` as for open(2).
[[nodiscard]] Result<Fd> open_file(const std::filesystem::path& path, int flags,
                                   unsigned mode = 0600);
/// A regular file that has `bytes` at `offset`, open for reading; a link is not followed. Reading a
/// mapping beyond the end of its file would end the process, so ask this before mapping.
/// Errors: errno; Errc::verification_failed when it is shorter or no regular file.
[[nodiscard]] Result<Fd> open_range(const std::filesystem::path& path, std::uint64_t offset,
                                    std::uint64_t bytes);
[[nodiscard]] Result<> write_all(int fd, ByteSpan bytes, const std::filesystem::path& path);
[[nodiscard]] Result<> pwrite_all(int fd, ByteSpan bytes, std::uint64_t offset,
                                  const std::filesystem::path& path);
/// Exactly `out.size()` bytes, else Errc::verification_failed (truncated).
[[nodiscard]] Result<> pread_all(int fd, std::span<std::uint8_t> out, std::uint64_t offset,
                                 const std::filesystem::path& path);
/// A whole regular file of at most `max_bytes`; longer: Errc::verification_failed; missing: ENOENT.
[[nodiscard]] Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t max_bytes);
[[nodiscard]] Result<> fsync_directory(const std::filesystem::path& path);

/// Replaces `path` by `bytes` so that at every instant, and after a crash at any instant, it is the
/// old file or the new one: unique temporary name in the same directory, write, fsync, rename,
/// fsync of the directory.
[[nodiscard]] Result<> replace_file(const std::filesystem::path& path, ByteSpan bytes,
                                    unsigned mode = 0644);

/// A name in `directory` that no other process or earlier run uses: ".<stem>.<random>.tmp".
/// Sweepers recognise leftovers by is_temporary_name().
[[nodiscard]] std::filesystem::path temporary_name(const std::filesystem::path& directory,
                                                   std::string_view stem);
[[nodiscard]] bool is_temporary_name(std::string_view file_name);

/// A read-only (or, for `writable`, shared read-write) mapping of a regular file. An empty file
/// maps to an empty span.
class MappedFile {
public:
    [[nodiscard]] static Result<MappedFile> open(const std::filesystem::path& path);
    /// `length` bytes from `offset` (any offset); `length` 0 means to the end.
    [[nodiscard]] static Result<MappedFile> map(int fd, std::uint64_t offset, std::uint64_t length,
                                                bool writable, const std::filesystem::path& path);
    MappedFile() = default;
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    [[nodiscard]] ByteSpan bytes() const { return {data_ + skip_, size_}; }
    [[nodiscard]] std::span<std::uint8_t> writable_bytes() { return {data_ + skip_, size_}; }

private:
    std::uint8_t* data_ = nullptr;
    std::size_t skip_ = 0; ///< From the page boundary to the first byte asked for.
    std::size_t size_ = 0;
};

/// An advisory lock (flock) that ends with the process. The file's text says who holds it.
class FileLock {
public:
    /// Waits up to `patience_ms`; then Errc::busy, and the context names the holder.
    /// `on_wait`, if set, is called once with the holder's description before waiting.
    [[nodiscard]] static Result<FileLock>
    acquire(const std::filesystem::path& path, std::string_view purpose, unsigned patience_ms,
            const std::function<void(const std::string&)>& on_wait = {});

private:
    explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
};

} // namespace slipway
