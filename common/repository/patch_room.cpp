#include "common/repository/patch_room.h"

#include <new>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "common/core/errc.h"
#include "common/io/file_ops.h"

namespace slipway {
namespace fs = std::filesystem;
namespace {

/// Longer ranges ask for huge pages: 512 times fewer faults.
constexpr std::size_t huge_range_bytes_min = 4ULL * 1024 * 1024;

} // namespace

PatchRoom::PatchRoom(std::uint64_t base_bytes, std::uint64_t raw_bytes)
    : PatchRoom(0, base_bytes, raw_bytes) {}

PatchRoom::PatchRoom(std::size_t skip, std::uint64_t base_bytes, std::uint64_t raw_bytes)
    : skip_(skip), base_bytes_(base_bytes), raw_bytes_(raw_bytes) {
    void* const pages = ::mmap(nullptr, length(), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) { // NOLINT(performance-no-int-to-ptr): the system's macro.
        throw std::bad_alloc();
    }
    data_ = static_cast<std::uint8_t*>(pages);
    if (raw_bytes >= huge_range_bytes_min) {
        (void)::madvise(data_, length(), MADV_HUGEPAGE); // Best effort.
    }
}

Result<PatchRoom> PatchRoom::behind_file(const fs::path& path, std::uint64_t offset,
                                         std::uint64_t base_bytes, std::uint64_t raw_bytes) {
    const auto fd = open_range(path, offset, base_bytes);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    const auto skip =
        static_cast<std::size_t>(offset % static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
    PatchRoom room(skip, base_bytes, raw_bytes);
    // Private and writable: `raw` begins within the last page of the base, which is copied then.
    if (::mmap(room.data_, skip + base_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
               fd->get(), static_cast<off_t>(offset - skip)) == MAP_FAILED) {
        return fail_errno("mmap " + path.string());
    }
    return room;
}

PatchRoom::~PatchRoom() {
    if (data_ != nullptr) {
        ::munmap(data_, length());
    }
}

PatchRoom::PatchRoom(PatchRoom&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), skip_(other.skip_),
      base_bytes_(other.base_bytes_), raw_bytes_(other.raw_bytes_) {}

} // namespace slipway
