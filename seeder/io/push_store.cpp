#include "seeder/io/push_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "common/core/errc.h"
#include "common/core/merkle.h"
#include "common/swarm/metainfo.h"

namespace slipway::seeder {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t files_of_publisher_max = 4096;
/// What a push leaves free for the repository's own work.
constexpr std::uint64_t spare_bytes = 64ULL * 1024 * 1024;
constexpr std::size_t read_bytes = 1024UL * 1024;

fs::path part_of(const fs::path& staged) {
    return staged.string() + ".part";
}

std::optional<std::uint64_t> size_of(const fs::path& path) {
    std::error_code error;
    const auto bytes = fs::file_size(path, error);
    return error ? std::nullopt : std::optional<std::uint64_t>(bytes);
}

Result<> reserve(int fd, const fs::path& path, const PushRange& range) {
    struct statvfs space{};
    if (::fstatvfs(fd, &space) != 0) {
        return fail_errno("free space for " + path.string());
    }
    const auto free_bytes = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
    struct stat info{};
    const auto reserved =
        ::fstat(fd, &info) == 0 ? static_cast<std::uint64_t>(info.st_blocks) * 512 : 0;
    const auto missing = range.total - std::min(range.total, reserved);
    if (missing > 0 && free_bytes < missing + spare_bytes) {
        return fail(std::make_error_code(std::errc::no_space_on_device),
                    "the seeder has " + std::to_string(free_bytes) +
                        " bytes free, the file needs " + std::to_string(missing) + " more and " +
                        std::to_string(spare_bytes) + " are kept free");
    }
    // The length says how far the upload is, so the blocks are reserved behind it.
    if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(range.total)) != 0 &&
        errno != EOPNOTSUPP) {
        return fail_errno("reserve " + std::to_string(range.total) + " bytes for " + path.string());
    }
    return {};
}

template <typename Take>
Result<> read_through(int fd, const fs::path& path, std::uint64_t bytes, Take take) {
    Bytes buffer(read_bytes);
    for (std::uint64_t offset = 0; offset < bytes;) {
        const auto part =
            std::span(buffer).first(std::min<std::uint64_t>(read_bytes, bytes - offset));
        if (auto read = pread_all(fd, part, offset, path); !read) {
            return read;
        }
        take(ByteSpan(part));
        offset += part.size();
    }
    return {};
}

Result<> check_pack(int fd, const fs::path& part, std::uint64_t bytes, const PushObject& object,
                    const fs::path& metainfo) {
    MerkleBuilder builder;
    return read_through(fd, part, bytes, [&](ByteSpan some) { builder.update(some); })
        .and_then([&]() -> Result<> {
            const auto pieces = builder.finish();
            if (pieces.root != object.digest) {
                return fail(Errc::verification_failed,
                            object.path + ": its bytes have another pieces root");
            }
            return replace_file(metainfo, swarm::make_metainfo(pieces));
        });
}

Result<> check_target(int fd, const fs::path& part, std::uint64_t bytes, const PushObject& object) {
    Sha256 hash;
    return read_through(fd, part, bytes, [&](ByteSpan some) { hash.update(some); })
        .and_then([&]() -> Result<> {
            return hash.finish() == object.digest
                       ? Result<>{}
                       : fail(Errc::verification_failed,
                              object.path + ": its bytes have another SHA-256");
        });
}

} // namespace

fs::path PushStore::directory(const std::string& publisher) const {
    return repository_ / "incoming" / publisher;
}

fs::path PushStore::staged(const std::string& publisher, const std::string& path) const {
    return directory(publisher) / sha256(as_bytes(path)).hex();
}

Result<PushStore::Progress> PushStore::progress(const std::string& publisher,
                                                const PushObject& object) const {
    // Metadata of a number may be another one than that of an earlier, broken push.
    if (object.kind == PushKind::metadata) {
        return Progress{};
    }
    const auto place = staged(publisher, object.path);
    for (const auto& whole : {repository_ / object.path, place}) {
        if (const auto bytes = size_of(whole)) {
            return Progress{*bytes, true};
        }
    }
    return Progress{size_of(part_of(place)).value_or(0), false};
}

Result<Fd> PushStore::open(const std::string& publisher, const PushObject& object,
                           const PushRange& range) const {
    const auto home = directory(publisher);
    std::error_code error;
    fs::create_directories(home, error);
    const auto files = error ? 0 : std::distance(fs::directory_iterator(home, error), {});
    if (error) {
        return fail(error, "prepare " + home.string());
    }
    if (static_cast<std::size_t>(files) >= files_of_publisher_max) {
        return fail(Errc::failed, "publisher " + publisher + " has " + std::to_string(files) +
                                      " unfinished files here already");
    }
    const auto part = part_of(staged(publisher, object.path));
    if (object.kind == PushKind::metadata && range.offset == 0) {
        fs::remove(part, error);
    }
    if (auto good = check_push(object, range, size_of(part).value_or(0)); !good) {
        return tl::unexpected(good.error());
    }
    return open_file(part, O_WRONLY | O_CREAT, 0644).and_then([&](Fd fd) {
        return reserve(fd.get(), part, range).map([&] { return std::move(fd); });
    });
}

Result<> PushStore::finish(const std::string& publisher, const PushObject& object) const {
    const auto place = staged(publisher, object.path);
    const auto part = part_of(place);
    auto checked = open_file(part, O_RDONLY).and_then([&](const Fd& fd) -> Result<> {
        const auto bytes = size_of(part).value_or(0);
        if (bytes == 0) {
            return fail(Errc::verification_failed, object.path + ": empty");
        }
        auto good = Result<>{};
        if (object.kind == PushKind::pack) {
            good = check_pack(fd.get(), part, bytes, object, place.string() + ".torrent");
        } else if (object.kind == PushKind::target) {
            good = check_target(fd.get(), part, bytes, object);
        }
        if (good && ::fsync(fd.get()) != 0) {
            good = fail_errno("sync " + part.string());
        }
        return good;
    });
    if (!checked) {
        std::error_code ignored;
        if (checked.error().code == Errc::verification_failed) {
            fs::remove(part, ignored);
        }
        return checked;
    }
    if (::rename(part.c_str(), place.c_str()) != 0) {
        return fail_errno("rename " + part.string());
    }
    return fsync_directory(place.parent_path());
}

std::size_t PushStore::remove_older_than(fs::file_time_type before) const {
    std::size_t removed = 0;
    std::error_code error; // What cannot be removed is tried again an hour later.
    for (fs::recursive_directory_iterator at(repository_ / "incoming", error), end;
         !error && at != end; at.increment(error)) {
        std::error_code ignored;
        if (at->is_regular_file(ignored) && at->last_write_time(ignored) < before && !ignored &&
            fs::remove(at->path(), ignored)) {
            ++removed;
        }
    }
    return removed;
}

void PushStore::remove_all(const std::string& publisher) const {
    std::error_code ignored; // It expires.
    fs::remove_all(directory(publisher), ignored);
}

} // namespace slipway::seeder
