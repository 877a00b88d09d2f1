#include "agent/io/content_check.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <new>
#include <system_error>
#include <unistd.h>

#include "agent/io/seal_key.h"
#include "common/io/file_ops.h"

namespace slipway::agent {
namespace {

// O_DIRECT wants memory, offsets and lengths in multiples of the disk's blocks.
constexpr std::size_t block_bytes = 4096;
// From the disk as much as keeps it busy; from the page cache what stays in the processor's.
constexpr std::size_t direct_bytes = 1024ULL * 1024;
constexpr std::size_t cached_bytes = 128ULL * 1024;

struct FreeAligned {
    void operator()(std::uint8_t* bytes) const {
        ::operator delete(bytes, std::align_val_t{block_bytes});
    }
};

std::uint8_t* worker_buffer() {
    thread_local const std::unique_ptr<std::uint8_t, FreeAligned> buffer(
        static_cast<std::uint8_t*>(::operator new(direct_bytes, std::align_val_t{block_bytes})));
    return buffer.get();
}

int open_for_reading(int parent, const char* name, int flags) {
    // O_NONBLOCK: a FIFO that someone put there must not hold us.
    return ::openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags);
}

std::string cannot_be_opened() {
    return errno == ELOOP ? "is not a file" : cannot("opened");
}

void drop_from_cache(int fd, std::uint64_t offset, std::uint64_t bytes) {
    const auto begin = static_cast<off_t>(offset);
    const auto length = static_cast<off_t>(bytes);
    (void)::sync_file_range(fd, begin, length,
                            SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                SYNC_FILE_RANGE_WAIT_AFTER);
    (void)::posix_fadvise(fd, begin, length, POSIX_FADV_DONTNEED);
}

// Reads a chunk, and gives its bytes to `take` in pieces. What was wrong, in words.
template <typename Take>
std::string read_chunk(int fd, bool direct, const Tree& tree, FileChunk at, Take& take) {
    auto* const buffer = worker_buffer();
    auto offset = at.chunk * chunk_bytes_max;
    auto left = chunk_length(tree.entries[at.file].bytes, at.chunk);
    while (left > 0) {
        auto length = std::min<std::uint64_t>(left, direct ? direct_bytes : cached_bytes);
        if (direct) {
            length = (length + block_bytes - 1) / block_bytes * block_bytes;
        }
        const auto got = ::pread(fd, buffer, length, static_cast<off_t>(offset));
        if (got <= 0) {
            return got < 0 ? cannot("read") : "is shorter than it was";
        }
        const auto used = std::min(left, static_cast<std::uint64_t>(got));
        take(ByteSpan(buffer, used));
        offset += used;
        left -= used;
    }
    return "";
}

template <typename Take>
std::string read_chunk(int parent, const char* name, const Tree& tree, FileChunk at, ReadFrom from,
                       Take take) {
    if (from == ReadFrom::disk) {
        errno = 0;
        const Fd direct(open_for_reading(parent, name, O_DIRECT));
        auto wrong = direct ? read_chunk(direct.get(), true, tree, at, take) : cannot_be_opened();
        // EINVAL: the file system cannot, and says so before the first byte.
        if (wrong.empty() || errno != EINVAL) {
            return wrong;
        }
    }
    const Fd fd(open_for_reading(parent, name, 0));
    if (!fd) {
        return cannot_be_opened();
    }
    if (from == ReadFrom::disk) {
        drop_from_cache(fd.get(), at.chunk * chunk_bytes_max,
                        chunk_length(tree.entries[at.file].bytes, at.chunk));
    }
    return read_chunk(fd.get(), false, tree, at, take);
}

std::string compared(std::string wrong, Sha256& hash, const Tree& tree, FileChunk at) {
    const auto digest = hash.finish(); // Always: the next use begins anew.
    if (!wrong.empty()) {
        return wrong;
    }
    return digest == tree.entries[at.file].chunks[at.chunk] ? "" : "content differs";
}

} // namespace

std::string cannot(const char* what) {
    return errno == ENOENT
               ? "is missing"
               : std::string("cannot be ") + what + ": " + std::generic_category().message(errno);
}

std::string wrong_content(int fd, bool direct, const Tree& tree, FileChunk at) {
    thread_local Sha256 hash;
    const auto take = [&](ByteSpan bytes) { hash.update(bytes); };
    return compared(read_chunk(fd, direct, tree, at, take), hash, tree, at);
}

std::string wrong_content(int parent, const char* name, const Tree& tree, FileChunk at,
                          ReadFrom from) {
    thread_local Sha256 hash;
    const auto take = [&](ByteSpan bytes) { hash.update(bytes); };
    return compared(read_chunk(parent, name, tree, at, from, take), hash, tree, at);
}

CheckedContent check_content(int parent, const char* name, const Tree& tree, FileChunk at,
                             ReadFrom from, Sealing& sealing, const Seal& known) {
    const auto& digest = tree.entries[at.file].chunks[at.chunk];
    if (known.is_there()) {
        sealing.begin(known.nonce, digest);
        const auto wrong = read_chunk(parent, name, tree, at, from,
                                      [&](ByteSpan bytes) { sealing.update(bytes); });
        if (sealing.end() == known && wrong.empty()) {
            return {"", known};
        }
    }
    thread_local Sha256 hash;
    sealing.begin(fresh_nonce(), digest);
    auto wrong = read_chunk(parent, name, tree, at, from, [&](ByteSpan bytes) {
        hash.update(bytes);
        sealing.update(bytes);
    });
    const auto seal = sealing.end();
    wrong = compared(std::move(wrong), hash, tree, at);
    return {wrong, wrong.empty() ? seal : Seal{}}; // Wrong bytes must never have one.
}

} // namespace slipway::agent
