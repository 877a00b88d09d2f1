#include "common/io/file_ops.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/core/errc.h"
#include "common/core/sha256.h"

namespace slipway {
namespace fs = std::filesystem;

Fd::~Fd() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

Fd& Fd::operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

Result<Fd> open_file(const fs::path& path, int flags, unsigned mode) {
    Fd fd(
        ::open(path.c_str(), flags | O_CLOEXEC, mode)); // NOLINT(cppcoreguidelines-pro-type-vararg)
    if (!fd) {
        return fail_errno("open " + path.string());
    }
    return fd;
}

Result<Fd> open_range(const fs::path& path, std::uint64_t offset, std::uint64_t bytes) {
    auto fd = open_file(path, O_RDONLY | O_NOFOLLOW);
    if (!fd) {
        return fd;
    }
    struct stat info{};
    if (::fstat(fd->get(), &info) != 0) {
        return fail_errno("stat " + path.string());
    }
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (!S_ISREG(info.st_mode) || size < bytes || offset > size - bytes) {
        return fail(Errc::verification_failed, path.string() + " is shorter than its chunks");
    }
    return fd;
}

Result<> write_all(int fd, ByteSpan bytes, const fs::path& path) {
    while (!bytes.empty()) {
        const auto written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return fail_errno("write " + path.string());
        }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

Result<> pwrite_all(int fd, ByteSpan bytes, std::uint64_t offset, const fs::path& path) {
    while (!bytes.empty()) {
        const auto written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return fail_errno("write " + path.string());
        }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    return {};
}

Result<> pread_all(int fd, std::span<std::uint8_t> out, std::uint64_t offset,
                   const fs::path& path) {
    while (!out.empty()) {
        const auto got = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return fail_errno("read " + path.string());
        }
        if (got == 0) {
            return fail(Errc::verification_failed,
                        "read " + path.string() + ": truncated at byte " + std::to_string(offset));
        }
        out = out.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
    return {};
}

Result<Bytes> read_file(const fs::path& path, std::uint64_t max_bytes) {
    const auto fd = open_file(path, O_RDONLY | O_NONBLOCK); // A pipe must not make it wait.
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    struct stat info{};
    if (::fstat(fd->get(), &info) != 0) {
        return fail_errno("stat " + path.string());
    }
    if (!S_ISREG(info.st_mode)) {
        return fail(Errc::failed, "read " + path.string() + ": not a regular file");
    }
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (size > max_bytes) {
        return fail(Errc::verification_failed, "read " + path.string() + ": " +
                                                   std::to_string(size) + " bytes, the limit is " +
                                                   std::to_string(max_bytes));
    }
    Bytes bytes(size);
    if (auto read = pread_all(fd->get(), bytes, 0, path); !read) {
        return tl::unexpected(read.error());
    }
    return bytes;
}

Result<> fsync_directory(const fs::path& path) {
    const auto fd = open_file(path, O_RDONLY | O_DIRECTORY);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    if (::fsync(fd->get()) != 0) {
        return fail_errno("fsync " + path.string());
    }
    return {};
}

fs::path temporary_name(const fs::path& directory, std::string_view stem) {
    std::array<std::uint8_t, 8> random{};
    // Cannot fail for 8 bytes once the kernel's pool is initialised (getrandom(2)).
    [[maybe_unused]] const auto got = ::getrandom(random.data(), random.size(), 0);
    assert(got == static_cast<ssize_t>(random.size()));
    return directory / ("." + std::string(stem) + "." + to_hex(random) + ".tmp");
}

bool is_temporary_name(std::string_view file_name) {
    constexpr std::size_t tail = 1 + 16 + 4; // ".<16 hexadecimal digits>.tmp"
    return file_name.size() > tail + 1 && file_name.front() == '.' && file_name.ends_with(".tmp") &&
           file_name[file_name.size() - tail] == '.' &&
           file_name.substr(file_name.size() - tail + 1, 16)
                   .find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

namespace {

Result<> write_synced(const fs::path& path, ByteSpan bytes, unsigned mode) {
    return open_file(path, O_WRONLY | O_CREAT | O_EXCL, mode).and_then([&](Fd fd) -> Result<> {
        if (auto written = write_all(fd.get(), bytes, path); !written) {
            return written;
        }
        // The umask must not decide who may read a key or a release record.
        if (::fchmod(fd.get(), mode) != 0) {
            return fail_errno("chmod " + path.string());
        }
        if (::fsync(fd.get()) != 0) {
            return fail_errno("fsync " + path.string());
        }
        return {};
    });
}

} // namespace

Result<> replace_file(const fs::path& path, ByteSpan bytes, unsigned mode) {
    const auto directory = path.has_parent_path() ? path.parent_path() : fs::path(".");
    const auto temporary = temporary_name(directory, path.filename().string());
    auto replaced = write_synced(temporary, bytes, mode).and_then([&]() -> Result<> {
        if (::rename(temporary.c_str(), path.c_str()) != 0) {
            return fail_errno("rename " + temporary.string() + " to " + path.string());
        }
        return {};
    });
    if (!replaced) {
        ::unlink(temporary.c_str());
        return replaced;
    }
    return fsync_directory(directory);
}

Result<MappedFile> MappedFile::open(const fs::path& path) {
    return open_file(path, O_RDONLY).and_then([&](const Fd& fd) {
        return map(fd.get(), 0, 0, false, path);
    });
}

Result<MappedFile> MappedFile::map(int fd, std::uint64_t offset, std::uint64_t length,
                                   bool writable, const fs::path& path) {
    struct stat info{};
    if (::fstat(fd, &info) != 0) {
        return fail_errno("stat " + path.string());
    }
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (!S_ISREG(info.st_mode) || offset > size || length > size - offset) {
        return fail(Errc::verification_failed,
                    "map " + path.string() + ": not a regular file of the expected length");
    }
    MappedFile mapped;
    mapped.size_ = length != 0 ? length : size - offset;
    if (mapped.size_ == 0) {
        return mapped;
    }
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    mapped.skip_ = offset % page;
    void* const address =
        ::mmap(nullptr, mapped.skip_ + mapped.size_, writable ? PROT_READ | PROT_WRITE : PROT_READ,
               writable ? MAP_SHARED : MAP_PRIVATE, fd, static_cast<off_t>(offset - mapped.skip_));
    if (address == MAP_FAILED) {
        return fail_errno("mmap " + path.string());
    }
    mapped.data_ = static_cast<std::uint8_t*>(address);
    return mapped;
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) {
        ::munmap(data_, skip_ + size_);
    }
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), skip_(std::exchange(other.skip_, 0)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(skip_, other.skip_);
    std::swap(size_, other.size_);
    return *this;
}

namespace {

std::string holder_of(const fs::path& path) {
    const auto read = read_file(path, 4096);
    std::string text(read ? as_text(*read) : std::string_view());
    text.erase(text.find_last_not_of(' ') + 1);
    return text.empty() ? "a process that did not say its name" : text;
}

// Always over the same bytes: a block that is freed and taken anew has to be on the disk before the
// next fsync of anything, and may not be had on a full one.
Result<> write_holder(const Fd& fd, std::string text, const fs::path& path) {
    constexpr std::size_t usual_bytes = 128;
    text.resize(std::max(text.size(), usual_bytes), ' ');
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0) {
        return fail_errno("stat " + path.string());
    }
    if (std::cmp_greater(info.st_size, text.size()) && ::ftruncate(fd.get(), 0) != 0) {
        return fail_errno("truncate " + path.string());
    }
    return pwrite_all(fd.get(), as_bytes(text), 0, path);
}

} // namespace

Result<FileLock> FileLock::acquire(const fs::path& path, std::string_view purpose,
                                   unsigned patience_ms,
                                   const std::function<void(const std::string&)>& on_wait) {
    auto fd = open_file(path, O_RDWR | O_CREAT, 0644);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    // flock(2) has no timeout, so a wait is a poll; its interval only delays the taker.
    constexpr unsigned interval_ms = 20;
    for (unsigned waited = 0; ::flock(fd->get(), LOCK_EX | LOCK_NB) != 0; waited += interval_ms) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return fail_errno("lock " + path.string());
        }
        if (waited >= patience_ms) {
            return fail(Errc::busy, "lock " + path.string() + ": held by " + holder_of(path));
        }
        if (waited == 0 && on_wait) {
            on_wait(holder_of(path));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(interval_ms));
    }
    auto text = "pid " + std::to_string(::getpid()) + " (" + std::string(purpose) + ")";
    if (auto written = write_holder(*fd, std::move(text), path); !written) {
        return tl::unexpected(std::move(written.error()));
    }
    return FileLock(std::move(*fd));
}

} // namespace slipway
