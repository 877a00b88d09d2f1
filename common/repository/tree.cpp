#include "common/repository/tree.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/core/errc.h"

namespace slipway {
namespace fs = std::filesystem;
namespace {

FileStamp stamp_of(const struct stat& info) {
    const auto ns = [](const timespec& time) {
        return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
    };
    return {info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size), ns(info.st_mtim),
            ns(info.st_ctim)};
}

/// Component by component, for kernels and sandboxes without openat2(2).
int open_step_by_step(int root, const std::string& path, int flags) {
    Fd directory;
    int at = root;
    std::size_t start = 0;
    for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', start)) {
        const auto part = path.substr(start, slash - start);
        directory = Fd(::openat(at, part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!directory) {
            return -1;
        }
        at = directory.get();
        start = slash + 1;
    }
    return ::openat(at, path.c_str() + start, flags | O_NOFOLLOW | O_CLOEXEC);
}

/// Opens `path` below `root` without passing through any symlink. -1 and errno like open(2).
Fd open_beneath(int root, const std::string& path, int flags) {
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_NOFOLLOW | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const auto fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd >= 0) {
        return Fd(static_cast<int>(fd));
    }
    if (errno == ENOSYS || errno == EPERM) {
        return Fd(open_step_by_step(root, path, flags));
    }
    return {};
}

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

std::string_view kind_of_special(mode_t mode) {
    return S_ISFIFO(mode)   ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISCHR(mode)  ? "a character device"
           : S_ISBLK(mode)  ? "a block device"
                            : "of an unknown kind";
}

Result<std::string> read_link(int directory, const char* name, const std::string& shown) {
    std::array<char, path_bytes_max + 1> buffer{};
    const auto length = ::readlinkat(directory, name, buffer.data(), buffer.size());
    if (length < 0) {
        return fail_errno("read the symlink " + shown);
    }
    if (static_cast<std::size_t>(length) == buffer.size()) {
        return fail(Errc::failed, "the symlink " + shown + " has too long a target");
    }
    return std::string(buffer.data(), static_cast<std::size_t>(length));
}

Result<std::vector<std::string>> list_names(DIR* directory, const std::string& shown) {
    std::vector<std::string> names;
    while (true) {
        errno = 0;
        const auto* entry = ::readdir(directory); // NOLINT(concurrency-mt-unsafe): own stream.
        if (entry == nullptr) {
            break;
        }
        const std::string_view name = &entry->d_name[0];
        if (name != "." && name != "..") {
            names.emplace_back(name);
        }
    }
    if (errno != 0) {
        return fail_errno("list " + shown);
    }
    return names;
}

bool means_gone(int error) {
    return error == ENOENT || error == ELOOP || error == ENOTDIR || error == EXDEV;
}

} // namespace

std::string Tree::shown(const std::string& path) const {
    return (root_path_ / path).string();
}

std::string Tree::shown(const TreeName& name) const {
    return shown(name.path);
}

Result<Tree> Tree::walk(const fs::path& root, Options options, const std::stop_token& stop) {
    Tree tree;
    tree.root_path_ = root;
    auto fd = open_file(root, O_RDONLY | O_DIRECTORY);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    tree.root_ = std::move(*fd);
    std::vector<std::string> open_directories{""};
    while (!open_directories.empty()) {
        if (stop.stop_requested()) {
            return fail(Errc::cancelled, "walk " + root.string());
        }
        const auto directory = std::move(open_directories.back());
        open_directories.pop_back();
        if (auto added = tree.add_directory(directory, options, open_directories); !added) {
            return tl::unexpected(added.error());
        }
    }
    std::ranges::sort(tree.names_, [](const TreeName& left, const TreeName& right) {
        return index_order(left.path, right.path);
    });
    tree.find_hard_links();
    return tree;
}

Result<> Tree::add_directory(const std::string& path, Options options,
                             std::vector<std::string>& below) {
    auto fd = open_beneath(root_.get(), path.empty() ? "." : path, O_RDONLY | O_DIRECTORY);
    if (!fd) {
        return fail_errno("open the directory " + shown(path));
    }
    struct stat info{};
    const int own = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
    const std::unique_ptr<DIR, CloseDirectory> directory(own < 0 ? nullptr : ::fdopendir(own));
    if (!directory || ::fstat(fd.get(), &info) != 0) {
        return fail_errno("read the directory " + shown(path));
    }
    if (path.empty()) {
        root_stamp_ = stamp_of(info);
    }
    const auto names = list_names(directory.get(), shown(path));
    if (!names) {
        return tl::unexpected(names.error());
    }
    for (const auto& name : *names) {
        auto whole = path;
        whole += path.empty() ? "" : "/";
        whole += name;
        if (auto added = add_name(fd.get(), whole, name.c_str(), options); !added) {
            return added;
        }
        if (names_.back().kind == EntryKind::directory) {
            below.push_back(whole);
        }
    }
    return {};
}

Result<> Tree::add_name(int directory, const std::string& path, const char* name, Options options) {
    if (path.size() > path_bytes_max) {
        return fail(Errc::failed, shown(path) + " is over " + std::to_string(path_bytes_max) +
                                      " bytes below the tree");
    }
    struct stat info{};
    if (::fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno("stat " + shown(path));
    }
    TreeName entry;
    entry.path = path;
    entry.mode = info.st_mode & 07777U;
    entry.stamp = stamp_of(info);
    if (S_ISLNK(info.st_mode)) {
        entry.kind = EntryKind::symlink;
        entry.mode = 0;
        auto target = read_link(directory, name, shown(path));
        if (!target) {
            return tl::unexpected(target.error());
        }
        entry.target = std::move(*target);
    } else if (S_ISDIR(info.st_mode)) {
        entry.kind = EntryKind::directory;
    } else if (!S_ISREG(info.st_mode)) {
        return fail(Errc::failed, shown(path) + " is " +
                                      std::string(kind_of_special(info.st_mode)) +
                                      ": an artifact holds files, directories and links");
    }
    if ((entry.mode & (S_ISUID | S_ISGID)) != 0 && !options.allow_setuid) {
        return fail(Errc::failed, shown(path) + " has a set-user-ID or set-group-ID bit; "
                                                "--allow-setuid publishes it");
    }
    entry.linked = entry.kind == EntryKind::file && info.st_nlink > 1; // find_hard_links() decides.
    names_.push_back(std::move(entry));
    return {};
}

void Tree::find_hard_links() {
    struct First {
        std::size_t name;
        bool linked = false;
    };
    std::map<std::pair<std::uint64_t, std::uint64_t>, First> files;
    for (std::size_t i = 0; i < names_.size(); ++i) {
        auto& name = names_[i];
        if (!std::exchange(name.linked, false)) {
            continue;
        }
        const auto [file, is_first] =
            files.try_emplace(std::pair(name.stamp.device, name.stamp.inode), First{i});
        if (!is_first) {
            name.kind = EntryKind::hard_link;
            name.mode = 0;
            name.first = file->second.name;
            names_[name.first].linked = true;
        }
    }
}

Result<Fd> Tree::open(const TreeName& name) const {
    auto fd = open_beneath(root_.get(), name.path, O_RDONLY | O_NONBLOCK);
    if (!fd) {
        return means_gone(errno) ? fail(Errc::changed, shown(name))
                                 : fail_errno("read " + shown(name));
    }
    return check_unchanged(name, fd.get()).map([&] { return std::move(fd); });
}

Result<> Tree::check_unchanged(const TreeName& name, int fd) const {
    struct stat info{};
    if (::fstat(fd, &info) != 0) {
        return fail_errno("stat " + shown(name));
    }
    return stamp_of(info) == name.stamp ? Result<>{} : fail(Errc::changed, shown(name));
}

Result<> Tree::check_directories() const {
    const auto check = [&](const std::string& path, const FileStamp& stamp) -> Result<> {
        const auto fd =
            open_beneath(root_.get(), path.empty() ? "." : path, O_RDONLY | O_DIRECTORY);
        struct stat info{};
        if (!fd || ::fstat(fd.get(), &info) != 0 || stamp_of(info) != stamp) {
            return fail(Errc::changed, shown(path));
        }
        return {};
    };
    if (auto same = check("", root_stamp_); !same) {
        return same;
    }
    for (const auto& name : names_) {
        if (name.kind == EntryKind::directory) {
            if (auto same = check(name.path, name.stamp); !same) {
                return same;
            }
        }
    }
    return {};
}

Result<> Tree::read_chunk(const TreeName& name, std::uint64_t i,
                          std::span<std::uint8_t> out) const {
    return open(name).and_then([&](const Fd& fd) -> Result<> {
        auto read = pread_all(fd.get(), out, i * chunk_bytes_max, shown(name));
        if (!read && read.error().code == Errc::verification_failed) {
            return fail(Errc::changed, shown(name)); // It was cut meanwhile.
        }
        return read;
    });
}

} // namespace slipway
