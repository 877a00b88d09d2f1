// Preloaded into a program (LD_PRELOAD), it sees each call by which the program changes a file
// system, counts them over all threads, and does one of these to them:
//
//   SLIPWAY_DISK_LOG=FILE                     notes each call, and the bytes that it wrote
//   SLIPWAY_DISK_AT=N                         ends the process by SIGKILL instead of call N
//   SLIPWAY_DISK_AT=N SLIPWAY_DISK_ERROR=E    call N fails with errno E instead
//
// Programs that the process starts are left alone. A line of the log is "N KIND FIELD...\n",
// followed by the bytes of a write; files are named by inode, names are hexadecimal; disk_model.py
// reads it. Calls go to the kernel directly, so that nothing here can meet its own wrappers.
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <mutex>
#include <string>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <vector>

namespace {

struct Mapping {
    void* address;
    std::size_t length;
    ino_t inode;
    off_t offset;
};

// Never destroyed: other threads may still run when the process ends.
struct Recorder {
    std::mutex mutex; // Held over a call and its note: the log has the order of the calls.
    long owner = 0;
    long at = 0;
    int error = 0;
    int log = -1;
    long count = 0;
    std::vector<Mapping> mappings;
};

Recorder& recorder() {
    static auto* const one = new Recorder;
    return *one;
}

long number_in(const char* variable) {
    const char* const text = std::getenv(variable);
    return text == nullptr ? 0 : std::strtol(text, nullptr, 10);
}

__attribute__((constructor)) void start() {
    auto& r = recorder();
    r.at = number_in("SLIPWAY_DISK_AT");
    r.error = static_cast<int>(number_in("SLIPWAY_DISK_ERROR"));
    if (const char* const file = std::getenv("SLIPWAY_DISK_LOG")) {
        const auto fd =
            ::syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        // Out of the way of the numbers that the program gets.
        r.log = static_cast<int>(::syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 900));
        ::syscall(SYS_close, fd);
    }
    ::unsetenv("LD_PRELOAD");
    r.owner = ::syscall(SYS_getpid);
}

bool is_inside() { // A child between fork and exec is not; it may not wait for the mutex either.
    return recorder().owner != 0 && ::syscall(SYS_getpid) == recorder().owner;
}

void note(const std::string& line, const void* bytes = nullptr, std::size_t length = 0) {
    const auto& r = recorder();
    if (r.log < 0) {
        return;
    }
    std::string record = line + "\n";
    record.append(static_cast<const char*>(bytes), length);
    const char* next = record.data();
    for (auto left = record.size(); left > 0;) {
        const auto put = ::syscall(SYS_write, r.log, next, left);
        if (put <= 0) {
            ::abort(); // A log with a gap would prove nothing.
        }
        next += put;
        left -= static_cast<std::size_t>(put);
    }
}

std::string hex(const std::string& text) {
    std::string out = "=";
    for (const char c : text) {
        char pair[3];
        std::snprintf(pair, sizeof pair, "%02x", static_cast<unsigned char>(c));
        out += pair;
    }
    return out;
}

bool stat_of(int directory, const char* path, int flags, struct stat& info) {
    return ::syscall(SYS_newfstatat, directory, path, &info, flags) == 0;
}

bool is_file(int fd, struct stat& info) {
    return stat_of(fd, "", AT_EMPTY_PATH, info) && S_ISREG(info.st_mode);
}

bool is_file(int fd) {
    struct stat info{};
    return is_file(fd, info);
}

std::string inode_of(int fd) {
    struct stat info{};
    return stat_of(fd, "", AT_EMPTY_PATH, info) ? std::to_string(info.st_ino) : "?";
}

std::string inode_of(int directory, const char* path, int flags = AT_SYMLINK_NOFOLLOW) {
    struct stat info{};
    return stat_of(directory, path, flags, info) ? std::to_string(info.st_ino) : "?";
}

// "PARENT NAME" of a path.
std::string entry_of(int directory, const char* path) {
    std::string whole(path);
    while (whole.size() > 1 && whole.back() == '/') {
        whole.pop_back();
    }
    const auto slash = whole.rfind('/');
    const auto parent = slash == std::string::npos ? std::string(".")
                        : slash == 0               ? std::string("/")
                                                   : whole.substr(0, slash);
    return inode_of(directory, parent.c_str(), 0) + " " + hex(whole.substr(slash + 1));
}

void note_mappings() {
    for (const auto& mapping : recorder().mappings) {
        note("0 write " + std::to_string(mapping.inode) + " " + std::to_string(mapping.offset) +
                 " " + std::to_string(mapping.length),
             mapping.address, mapping.length);
    }
}

// What was copied without passing through the program.
void note_copied(const std::string& number, int fd, off_t offset, std::size_t length) {
    std::string bytes(length, '\0');
    const auto got = ::syscall(SYS_pread64, fd, bytes.data(), length, offset);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    note(number + " write " + inode_of(fd) + " " + std::to_string(offset) + " " +
             std::to_string(bytes.size()),
         bytes.data(), bytes.size());
}

// One call that changes a file system. `tell` gives its line for the log from the result.
template <typename Call, typename Tell>
long change(const char* kind, Call call, Tell tell) {
    if (!is_inside()) {
        return call();
    }
    auto& r = recorder();
    const std::scoped_lock lock(r.mutex);
    const auto number = std::to_string(++r.count);
    if (r.count == r.at) {
        if (r.error != 0) {
            note(number + " failed " + kind);
            errno = r.error;
            return -1;
        }
        ::syscall(SYS_kill, r.owner, SIGKILL);
    }
    const auto result = call();
    const int why = errno;
    if (result < 0) {
        note(number + " failed " + kind);
    } else {
        tell(number, result);
    }
    errno = why;
    return result;
}

long write_at_cursor(int fd, const void* bytes, std::size_t length) {
    return change(
        "write", [&] { return ::syscall(SYS_write, fd, bytes, length); },
        [&](const std::string& number, long written) {
            const auto end = ::syscall(SYS_lseek, fd, 0, SEEK_CUR);
            note(number + " write " + inode_of(fd) + " " + std::to_string(end - written) + " " +
                     std::to_string(written),
                 bytes, static_cast<std::size_t>(written));
        });
}

long write_at(int fd, const void* bytes, std::size_t length, off_t offset) {
    return change(
        "write", [&] { return ::syscall(SYS_pwrite64, fd, bytes, length, offset); },
        [&](const std::string& number, long written) {
            note(number + " write " + inode_of(fd) + " " + std::to_string(offset) + " " +
                     std::to_string(written),
                 bytes, static_cast<std::size_t>(written));
        });
}

long open_at(int directory, const char* path, int flags, unsigned mode) {
    const auto call = [&] { return ::syscall(SYS_openat, directory, path, flags, mode); };
    struct stat before{};
    if (!is_inside() || (flags & (O_CREAT | O_TRUNC)) == 0) {
        return call();
    }
    const bool exists = stat_of(directory, path, 0, before);
    if (!exists && (flags & O_CREAT) != 0) {
        return change("create", call, [&](const std::string& number, long fd) {
            struct stat info{};
            stat_of(static_cast<int>(fd), "", AT_EMPTY_PATH, info);
            note(number + " create " + entry_of(directory, path) + " " +
                 std::to_string(info.st_ino) + " " + std::to_string(info.st_mode & 07777));
        });
    }
    if (exists && S_ISREG(before.st_mode) && (flags & O_TRUNC) != 0 && before.st_size > 0) {
        return change("empty", call, [&](const std::string& number, long fd) {
            note(number + " empty " + inode_of(static_cast<int>(fd)) + " 0");
        });
    }
    const std::scoped_lock lock(recorder().mutex);
    note("0 opened"); // It might have made a file.
    return call();
}

long rename_at(int from_directory, const char* from, int to_directory, const char* to,
               unsigned flags) {
    std::string what;
    if (is_inside()) {
        what = ((flags & RENAME_EXCHANGE) != 0 ? " exchange " : " rename ") +
               entry_of(from_directory, from) + " " + entry_of(to_directory, to);
    }
    return change(
        "rename",
        [&] { return ::syscall(SYS_renameat2, from_directory, from, to_directory, to, flags); },
        [&](const std::string& number, long /*zero*/) { note(number + what); });
}

long unlink_at(int directory, const char* path, int flags) {
    return change(
        "unlink", [&] { return ::syscall(SYS_unlinkat, directory, path, flags); },
        [&](const std::string& number, long /*zero*/) {
            note(number + " unlink " + entry_of(directory, path));
        });
}

long link_at(int from_directory, const char* from, int directory, const char* path, int flags) {
    return change(
        "link", [&] { return ::syscall(SYS_linkat, from_directory, from, directory, path, flags); },
        [&](const std::string& number, long /*zero*/) {
            note(number + " link " + entry_of(directory, path) + " " + inode_of(directory, path));
        });
}

long symlink_at(const char* target, int directory, const char* path) {
    return change(
        "symlink", [&] { return ::syscall(SYS_symlinkat, target, directory, path); },
        [&](const std::string& number, long /*zero*/) {
            note(number + " symlink " + entry_of(directory, path) + " " +
                 inode_of(directory, path) + " " + hex(target));
        });
}

long mkdir_at(int directory, const char* path, unsigned mode) {
    return change(
        "mkdir", [&] { return ::syscall(SYS_mkdirat, directory, path, mode); },
        [&](const std::string& number, long /*zero*/) {
            struct stat info{};
            stat_of(directory, path, AT_SYMLINK_NOFOLLOW, info);
            note(number + " mkdir " + entry_of(directory, path) + " " +
                 std::to_string(info.st_ino) + " " + std::to_string(info.st_mode & 07777));
        });
}

long allocate(int fd, int mode, off_t offset, off_t length) {
    return change(
        "allocate", [&] { return ::syscall(SYS_fallocate, fd, mode, offset, length); },
        [&](const std::string& number, long /*zero*/) {
            struct stat info{};
            is_file(fd, info);
            // Blocks that are only kept free for it leave its size as it is.
            note(number + " allocate " + std::to_string(info.st_ino) + " " +
                 std::to_string(info.st_size));
        });
}

template <typename Call>
long sync(const char* kind, const std::string& what, Call call) {
    if (is_inside()) {
        const std::scoped_lock lock(recorder().mutex);
        note_mappings();
    }
    return change(kind, call,
                  [&](const std::string& number, long /*zero*/) { note(number + " " + what); });
}

template <typename Number>
int as_int(Number value) {
    return static_cast<int>(value);
}

} // namespace

// NOLINTBEGIN: the names and parameters are the C library's.
extern "C" {

int open(const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const auto mode = va_arg(rest, unsigned);
    va_end(rest);
    return as_int(open_at(AT_FDCWD, path, flags, mode));
}
int open64(const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const auto mode = va_arg(rest, unsigned);
    va_end(rest);
    return as_int(open_at(AT_FDCWD, path, flags, mode));
}
int openat(int directory, const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const auto mode = va_arg(rest, unsigned);
    va_end(rest);
    return as_int(open_at(directory, path, flags, mode));
}
int openat64(int directory, const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const auto mode = va_arg(rest, unsigned);
    va_end(rest);
    return as_int(open_at(directory, path, flags, mode));
}
int __open_2(const char* path, int flags) {
    return as_int(open_at(AT_FDCWD, path, flags, 0));
}
int __open64_2(const char* path, int flags) {
    return as_int(open_at(AT_FDCWD, path, flags, 0));
}
int __openat_2(int directory, const char* path, int flags) {
    return as_int(open_at(directory, path, flags, 0));
}
int __openat64_2(int directory, const char* path, int flags) {
    return as_int(open_at(directory, path, flags, 0));
}
int creat(const char* path, mode_t mode) {
    return as_int(open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode));
}

ssize_t write(int fd, const void* bytes, size_t length) {
    return is_file(fd) ? write_at_cursor(fd, bytes, length)
                       : ::syscall(SYS_write, fd, bytes, length);
}
ssize_t writev(int fd, const struct iovec* parts, int count) {
    if (!is_file(fd)) {
        return ::syscall(SYS_writev, fd, parts, count);
    }
    std::string all;
    for (int i = 0; i < count; ++i) {
        all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    }
    return write_at_cursor(fd, all.data(), all.size());
}
ssize_t pwrite(int fd, const void* bytes, size_t length, off_t offset) {
    return write_at(fd, bytes, length, offset);
}
ssize_t pwrite64(int fd, const void* bytes, size_t length, off64_t offset) {
    return write_at(fd, bytes, length, offset);
}
ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t offset) {
    std::string all;
    for (int i = 0; i < count; ++i) {
        all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    }
    return write_at(fd, all.data(), all.size(), offset);
}
ssize_t pwritev64(int fd, const struct iovec* parts, int count, off64_t offset) {
    return pwritev(fd, parts, count, offset);
}
ssize_t copy_file_range(int from, off64_t* from_at, int to, off64_t* to_at, size_t length,
                        unsigned flags) {
    return change(
        "write",
        [&] { return ::syscall(SYS_copy_file_range, from, from_at, to, to_at, length, flags); },
        [&](const std::string& number, long copied) {
            const auto end = to_at != nullptr ? *to_at : ::syscall(SYS_lseek, to, 0, SEEK_CUR);
            note_copied(number, to, end - copied, static_cast<std::size_t>(copied));
        });
}
ssize_t sendfile(int to, int from, off_t* from_at, size_t length) {
    if (!is_file(to)) {
        return ::syscall(SYS_sendfile, to, from, from_at, length);
    }
    return change(
        "write", [&] { return ::syscall(SYS_sendfile, to, from, from_at, length); },
        [&](const std::string& number, long copied) {
            note_copied(number, to, ::syscall(SYS_lseek, to, 0, SEEK_CUR) - copied,
                        static_cast<std::size_t>(copied));
        });
}
ssize_t sendfile64(int to, int from, off64_t* from_at, size_t length) {
    return sendfile(to, from, from_at, length);
}
int ioctl(int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void* const argument = va_arg(rest, void*);
    va_end(rest);
    const auto call = [&] { return ::syscall(SYS_ioctl, fd, request, argument); };
    if (request != FICLONE) {
        return as_int(call());
    }
    return as_int(change("clone", call, [&](const std::string& number, long /*zero*/) {
        struct stat info{};
        is_file(fd, info);
        note_copied(number, fd, 0, static_cast<std::size_t>(info.st_size));
    }));
}

int rename(const char* from, const char* to) noexcept {
    return as_int(rename_at(AT_FDCWD, from, AT_FDCWD, to, 0));
}
int renameat(int from_directory, const char* from, int to_directory, const char* to) noexcept {
    return as_int(rename_at(from_directory, from, to_directory, to, 0));
}
int renameat2(int from_directory, const char* from, int to_directory, const char* to,
              unsigned flags) noexcept {
    return as_int(rename_at(from_directory, from, to_directory, to, flags));
}
int unlink(const char* path) noexcept {
    return as_int(unlink_at(AT_FDCWD, path, 0));
}
int unlinkat(int directory, const char* path, int flags) noexcept {
    return as_int(unlink_at(directory, path, flags));
}
int rmdir(const char* path) noexcept {
    return as_int(unlink_at(AT_FDCWD, path, AT_REMOVEDIR));
}
int remove(const char* path) noexcept {
    struct stat info{};
    const bool is_directory =
        stat_of(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, info) && S_ISDIR(info.st_mode);
    return as_int(unlink_at(AT_FDCWD, path, is_directory ? AT_REMOVEDIR : 0));
}
int link(const char* from, const char* to) noexcept {
    return as_int(link_at(AT_FDCWD, from, AT_FDCWD, to, 0));
}
int linkat(int from_directory, const char* from, int directory, const char* path,
           int flags) noexcept {
    return as_int(link_at(from_directory, from, directory, path, flags));
}
int symlink(const char* target, const char* path) noexcept {
    return as_int(symlink_at(target, AT_FDCWD, path));
}
int symlinkat(const char* target, int directory, const char* path) noexcept {
    return as_int(symlink_at(target, directory, path));
}
int mkdir(const char* path, mode_t mode) noexcept {
    return as_int(mkdir_at(AT_FDCWD, path, mode));
}
int mkdirat(int directory, const char* path, mode_t mode) noexcept {
    return as_int(mkdir_at(directory, path, mode));
}

int truncate(const char* path, off_t length) noexcept {
    return as_int(change(
        "size", [&] { return ::syscall(SYS_truncate, path, length); },
        [&](const std::string& number, long /*zero*/) {
            note(number + " size " + inode_of(AT_FDCWD, path, 0) + " " + std::to_string(length));
        }));
}
int ftruncate(int fd, off_t length) noexcept {
    return as_int(change(
        "size", [&] { return ::syscall(SYS_ftruncate, fd, length); },
        [&](const std::string& number, long /*zero*/) {
            note(number + " size " + inode_of(fd) + " " + std::to_string(length));
        }));
}
int ftruncate64(int fd, off64_t length) noexcept {
    return ftruncate(fd, length);
}
int fallocate(int fd, int mode, off_t offset, off_t length) {
    return as_int(allocate(fd, mode, offset, length));
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    return as_int(allocate(fd, mode, offset, length));
}
int posix_fallocate(int fd, off_t offset, off_t length) {
    return allocate(fd, 0, offset, length) == 0 ? 0 : errno;
}
int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    return posix_fallocate(fd, offset, length);
}

int fchmod(int fd, mode_t mode) noexcept {
    return as_int(change(
        "mode", [&] { return ::syscall(SYS_fchmod, fd, mode); },
        [&](const std::string& number, long /*zero*/) {
            note(number + " mode " + inode_of(fd) + " " + std::to_string(mode));
        }));
}
int fchmodat(int directory, const char* path, mode_t mode, int /*flags*/) noexcept {
    return as_int(change(
        "mode", [&] { return ::syscall(SYS_fchmodat, directory, path, mode); },
        [&](const std::string& number, long /*zero*/) {
            note(number + " mode " + inode_of(directory, path, 0) + " " + std::to_string(mode));
        }));
}
int chmod(const char* path, mode_t mode) noexcept {
    return fchmodat(AT_FDCWD, path, mode, 0);
}

int fsync(int fd) {
    return as_int(sync("sync", "sync " + inode_of(fd), [&] { return ::syscall(SYS_fsync, fd); }));
}
int fdatasync(int fd) {
    return as_int(
        sync("sync", "datasync " + inode_of(fd), [&] { return ::syscall(SYS_fdatasync, fd); }));
}
int syncfs(int fd) noexcept {
    return as_int(sync("sync", "syncfs", [&] { return ::syscall(SYS_syncfs, fd); }));
}

void* mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) noexcept {
    const auto mapped = ::syscall(SYS_mmap, address, length, protection, flags, fd, offset);
    struct stat info{};
    auto* const at = reinterpret_cast<void*>(mapped);
    if (at != MAP_FAILED && (flags & MAP_SHARED) != 0 && (protection & PROT_WRITE) != 0 &&
        is_inside() && recorder().log >= 0 && is_file(fd, info)) {
        const std::scoped_lock lock(recorder().mutex);
        recorder().mappings.push_back({at, length, info.st_ino, offset});
    }
    return at;
}
void* mmap64(void* address, size_t length, int protection, int flags, int fd,
             off64_t offset) noexcept {
    return mmap(address, length, protection, flags, fd, offset);
}
int munmap(void* address, size_t length) noexcept {
    auto& r = recorder();
    if (is_inside() && r.log >= 0) {
        const std::scoped_lock lock(r.mutex);
        note_mappings();
        std::erase_if(r.mappings, [&](const Mapping& one) { return one.address == address; });
        return as_int(::syscall(SYS_munmap, address, length));
    }
    return as_int(::syscall(SYS_munmap, address, length));
}

} // extern "C"
// NOLINTEND
