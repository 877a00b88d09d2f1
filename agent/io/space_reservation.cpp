#include "agent/io/space_reservation.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <limits>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/core/errc.h"

namespace slipway::agent {
namespace {

constexpr std::uint64_t step_bytes = 16ULL * 1024 * 1024;

} // namespace

Result<Space> free_space(const std::filesystem::path& path) {
    struct statvfs info{};
    if (::statvfs(path.c_str(), &info) != 0) {
        return fail_errno("ask for the free space of " + path.string());
    }
    const bool unlimited = info.f_files == 0; // btrfs counts no inodes.
    return Space{std::uint64_t{info.f_bavail} * info.f_frsize,
                 unlimited ? std::numeric_limits<std::uint64_t>::max() : info.f_favail};
}

SpaceReservation::SpaceReservation(Fd fd, std::filesystem::path file, std::uint64_t bytes)
    : fd_(std::move(fd)), file_(std::move(file)), held_bytes_(bytes) {}

Result<std::unique_ptr<SpaceReservation>> SpaceReservation::take(const std::filesystem::path& file,
                                                                 std::uint64_t bytes) {
    return open_file(file, O_RDWR | O_CREAT | O_EXCL)
        .and_then([&](Fd fd) -> Result<std::unique_ptr<SpaceReservation>> {
            std::unique_ptr<SpaceReservation> held(
                new SpaceReservation(std::move(fd), file, bytes));
            if (bytes > 0 && ::fallocate(held->fd_.get(), 0, 0, static_cast<off_t>(bytes)) != 0 &&
                errno != EOPNOTSUPP) {
                return fail_errno("reserve " + human_bytes(bytes) + " for the release in " +
                                  file.parent_path().string());
            }
            return held;
        });
}

SpaceReservation::~SpaceReservation() {
    ::unlink(file_.c_str());
}

void SpaceReservation::give_back(std::uint64_t bytes) {
    due_bytes_ += bytes;
    if (due_bytes_ < step_bytes) {
        return;
    }
    const std::scoped_lock lock(mutex_);
    held_bytes_ -= std::min(held_bytes_, due_bytes_.exchange(0));
    // A failure leaves blocks reserved that the destructor frees: the write that follows tells.
    (void)!::ftruncate(fd_.get(), static_cast<off_t>(held_bytes_));
}

} // namespace slipway::agent
