#include "agent/io/file_ops.h"

#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "common/core/errc.h"
#include "common/io/file_ops.h"

namespace slipway::agent {
namespace fs = std::filesystem;
namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

Result<std::vector<std::string>> names_in(int directory, const fs::path& path) {
    const int copy = ::fcntl(directory, F_DUPFD_CLOEXEC, 0);
    std::unique_ptr<DIR, CloseDirectory> stream(copy < 0 ? nullptr : ::fdopendir(copy));
    if (!stream) {
        return fail_errno("list " + path.string());
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") {
            names.push_back(name);
        }
    }
    if (errno != 0) {
        return fail_errno("list " + path.string());
    }
    return names;
}

// Depth is bounded by the kernel's: the trees removed here were made by path.
Result<> remove_at(int parent, const std::string& name,
                   const fs::path& path) { // NOLINT(misc-no-recursion)
    if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) {
        return {};
    }
    if (errno != EISDIR && errno != EPERM) {
        return fail_errno("remove " + path.string());
    }
    const Fd directory(
        ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory) {
        return fail_errno("remove " + path.string());
    }
    if (::fchmod(directory.get(), 0700) != 0) { // Installed directories are read-only.
        return fail_errno("make writable " + path.string());
    }
    auto names = names_in(directory.get(), path);
    if (!names) {
        return tl::unexpected(std::move(names.error()));
    }
    for (const auto& child : *names) {
        if (auto removed = remove_at(directory.get(), child, path / child); !removed) {
            return removed;
        }
    }
    if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
        return fail_errno("remove " + path.string());
    }
    return {};
}

} // namespace

Result<> RealFileOps::make_directory(const fs::path& path) {
    std::error_code ec;
    fs::create_directories(path, ec);
    if (ec) {
        return fail(ec, "create directory " + path.string());
    }
    return {};
}

Result<> RealFileOps::make_symlink(const fs::path& target, const fs::path& path) {
    if (::symlink(target.c_str(), path.c_str()) != 0) {
        return fail_errno("create symlink " + path.string());
    }
    return {};
}

Result<> RealFileOps::rename(const fs::path& from, const fs::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) {
        return fail_errno("rename " + from.string() + " to " + to.string());
    }
    return {};
}

Result<> RealFileOps::exchange(const fs::path& from, const fs::path& to) {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
        return {};
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return fail_errno("exchange " + from.string() + " and " + to.string());
    }
    const auto aside = temporary_name(from.parent_path(), from.filename().string());
    return rename(to, aside).and_then([&] { return rename(from, to); }).and_then([&] {
        return rename(aside, from);
    });
}

Result<> RealFileOps::replace_file(const fs::path& path, ByteSpan bytes) {
    return slipway::replace_file(path, bytes);
}

Result<> RealFileOps::put_file(const fs::path& path, ByteSpan bytes) {
    const auto temporary = temporary_name(path.parent_path(), path.filename().string());
    auto put = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0644)
                   .and_then([&](const Fd& fd) {
                       return write_all(fd.get(), bytes, temporary).and_then([&]() -> Result<> {
                           return ::fsync(fd.get()) == 0 ? Result<>()
                                                         : fail_errno("sync " + temporary.string());
                       });
                   })
                   .and_then([&] { return rename(temporary, path); });
    if (!put) {
        ::unlink(temporary.c_str());
    }
    return put;
}

Result<> RealFileOps::remove(const fs::path& path) {
    return remove_at(AT_FDCWD, path.string(), path);
}

Result<> RealFileOps::set_mode(const fs::path& directory, unsigned mode) {
    return open_file(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        .and_then([&](const Fd& fd) -> Result<> {
            if (::fchmod(fd.get(), mode) != 0) {
                return fail_errno("change the mode of " + directory.string());
            }
            return {};
        });
}

Result<> RealFileOps::make_spare(const fs::path& path, std::uint64_t bytes) {
    return open_file(path, O_WRONLY | O_CREAT).and_then([&](const Fd& fd) -> Result<> {
        if (::fallocate(fd.get(), 0, 0, static_cast<off_t>(bytes)) != 0) {
            return fail_errno("reserve " + path.string());
        }
        return {};
    });
}

Result<> RealFileOps::sync_directory(const fs::path& path) {
    return fsync_directory(path);
}

} // namespace slipway::agent
