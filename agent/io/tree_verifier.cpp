#include "agent/io/tree_verifier.h"

#include <algorithm>
#include <array>
#include <dirent.h>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_set>

#include "agent/io/directory_walker.h"
#include "common/core/errc.h"
#include "common/io/parallel.h"

namespace slipway::agent {
namespace {

constexpr std::size_t read_bytes = 256 * 1024;
constexpr std::uint64_t task_bytes = 4ULL * 1024 * 1024;
constexpr std::size_t task_chunks = 64;

// One chunk to read; a file without chunks is one item with no bytes.
struct Item {
    std::uint32_t entry;
    std::uint32_t chunk;
};

// Runs of items that are worth a worker's while.
std::vector<std::vector<Item>> tasks_of(const Tree& tree) {
    std::vector<std::vector<Item>> tasks(1);
    std::uint64_t bytes = 0;
    for (const auto number : tree.files) {
        const auto& entry = tree.entries[number];
        const auto count = std::max<std::size_t>(1, entry.chunks.size());
        for (std::uint32_t i = 0; i < count; ++i) {
            if (bytes >= task_bytes || tasks.back().size() >= task_chunks) {
                tasks.emplace_back();
                bytes = 0;
            }
            tasks.back().push_back({number, i});
            bytes += entry.chunks.empty() ? 0 : chunk_length(entry.bytes, i);
        }
    }
    return tasks;
}

class Verification {
public:
    Verification(WalkerPool walkers, const Tree& tree, const VerifyOptions& options,
                 Progress& progress)
        : walkers_(std::move(walkers)), tree_(tree), options_(options), progress_(progress) {}

    Result<std::vector<TreeFault>> run(std::stop_token stop) {
        for (const auto number : tree_.directories) {
            check(number,
                  [&](int parent, const char* name) { return directory(number, parent, name); });
        }
        for (const auto number : tree_.symlinks) {
            check(number,
                  [&](int parent, const char* name) { return symlink(number, parent, name); });
        }
        for (const auto number : tree_.hard_links) {
            check(number,
                  [&](int parent, const char* name) { return hard_link(number, parent, name); });
        }
        const auto tasks = tasks_of(tree_);
        auto done = parallel_for(tasks.size(), worker_count(), std::move(stop), [&](std::size_t i) {
            read_ahead(tasks[i]);
            for (const auto& item : tasks[i]) {
                check(item.entry,
                      [&](int parent, const char* name) { return file(item, parent, name); });
            }
            return Result<>{};
        });
        if (!done) {
            return tl::unexpected(std::move(done.error()));
        }
        if (options_.look_for_extra) {
            find_extra();
        }
        return sorted();
    }

private:
    // What is wrong, or nothing.
    using Verdict = std::string;

    void check(std::uint32_t number, const std::function<Verdict(int, const char*)>& verdict_of) {
        const auto& path = tree_.entries[number].path;
        Verdict verdict;
        const auto walked = walkers_.at(path, [&](int parent, const char* name) -> Result<> {
            verdict = verdict_of(parent, name);
            return {};
        });
        if (!walked) {
            verdict = "its directory cannot be opened: " + walked.error().code.message();
        }
        if (!verdict.empty()) {
            add({path, verdict, number});
        }
    }
    void add(TreeFault fault) {
        const std::scoped_lock lock(mutex_);
        if (faults_.size() < faults_max) {
            faults_.push_back(std::move(fault));
        }
    }
    std::vector<TreeFault> sorted() {
        std::ranges::sort(faults_, {}, &TreeFault::path);
        const auto same = std::ranges::unique(faults_); // Several chunks of one file.
        faults_.erase(same.begin(), same.end());
        return std::move(faults_);
    }

    static Verdict wrong_mode(const struct stat& info, unsigned expected) {
        std::array<char, 64> text{};
        if ((info.st_mode & 07777U) == expected) {
            return {};
        }
        std::snprintf(text.data(), text.size(), "has mode %04o, should have %04o",
                      info.st_mode & 07777U, expected);
        return text.data();
    }
    static Verdict cannot(const char* what) {
        return errno == ENOENT ? "is missing"
                               : std::string("cannot be ") + what + ": " +
                                     std::generic_category().message(errno);
    }

    Verdict directory(std::uint32_t number, int parent, const char* name) {
        struct stat info{};
        if (::fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
            return cannot("examined");
        }
        return S_ISDIR(info.st_mode) ? wrong_mode(info, installed_mode(tree_.entries[number]))
                                     : "is not a directory";
    }

    Verdict symlink(std::uint32_t number, int parent, const char* name) {
        const auto& target = tree_.entries[number].target;
        std::string text(target.size() + 1, '\0');
        const auto length = ::readlinkat(parent, name, text.data(), text.size());
        if (length < 0) {
            return errno == EINVAL ? "is not a symlink" : cannot("read");
        }
        text.resize(static_cast<std::size_t>(length));
        return text == target ? "" : "points elsewhere";
    }

    Verdict hard_link(std::uint32_t number, int parent, const char* name) {
        const auto& target = tree_.entries[number].target;
        struct stat info{};
        struct stat first{};
        if (::fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
            return cannot("examined");
        }
        const auto found = walkers_.at(target, [&](int directory, const char* file) -> Result<> {
            return ::fstatat(directory, file, &first, AT_SYMLINK_NOFOLLOW) == 0
                       ? Result<>{}
                       : fail_errno(target);
        });
        return found && info.st_ino == first.st_ino && info.st_dev == first.st_dev
                   ? ""
                   : "is not a hard link to " + target;
    }

    Verdict file(const Item& item, int parent, const char* name) {
        const auto& entry = tree_.entries[item.entry];
        // O_NONBLOCK: a FIFO that someone put there must not hold us.
        const Fd fd(::openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!fd) {
            return errno == ELOOP ? "is not a file" : cannot("opened");
        }
        struct stat info{};
        if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
            return "is not a file";
        }
        if (info.st_size != static_cast<off_t>(entry.bytes)) {
            return "has " + std::to_string(info.st_size) + " bytes, should have " +
                   std::to_string(entry.bytes);
        }
        auto verdict = wrong_mode(info, installed_mode(entry));
        if (verdict.empty() && !entry.chunks.empty()) {
            verdict = content(fd.get(), item);
        }
        return verdict;
    }

    // Drops what the page cache holds of files that the disk is to answer for, and has the disk
    // fetch all of a task at once: one file at a time would wait for each.
    void read_ahead(const std::vector<Item>& items) {
        for (const auto& item : items) {
            const auto& entry = tree_.entries[item.entry];
            if (entry.chunks.empty() || !options_.from_disk || !options_.from_disk(item.entry)) {
                continue;
            }
            const auto offset = static_cast<off_t>(item.chunk * chunk_bytes_max);
            const auto length = static_cast<off_t>(chunk_length(entry.bytes, item.chunk));
            (void)walkers_.at(entry.path, [&](int parent, const char* name) -> Result<> {
                const Fd fd(::openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
                if (fd) {
                    (void)::posix_fadvise(fd.get(), offset, length, POSIX_FADV_DONTNEED);
                    (void)::posix_fadvise(fd.get(), offset, length, POSIX_FADV_WILLNEED);
                }
                return {}; // What is wrong with it is found when it is read.
            });
        }
    }

    Verdict content(int fd, const Item& item) {
        thread_local Sha256 hash;
        thread_local Bytes buffer(read_bytes);
        const auto& entry = tree_.entries[item.entry];
        auto offset = item.chunk * chunk_bytes_max;
        auto left = chunk_length(entry.bytes, item.chunk);
        progress_.add(left);
        while (left > 0) {
            const auto got = ::pread(fd, buffer.data(), std::min<std::uint64_t>(left, read_bytes),
                                     static_cast<off_t>(offset));
            if (got <= 0) {
                (void)hash.finish();
                return got < 0 ? cannot("read") : "is shorter than it was";
            }
            hash.update(ByteSpan(buffer).first(static_cast<std::size_t>(got)));
            offset += static_cast<std::uint64_t>(got);
            left -= static_cast<std::uint64_t>(got);
        }
        return hash.finish() == entry.chunks[item.chunk] ? "" : "content differs";
    }

    void find_extra() {
        std::unordered_set<std::string_view> known;
        for (const auto& entry : tree_.entries) {
            known.insert(entry.path);
        }
        find_extra_in("", known);
        for (const auto number : tree_.directories) {
            find_extra_in(tree_.entries[number].path + "/", known);
        }
    }

    void find_extra_in(const std::string& prefix,
                       const std::unordered_set<std::string_view>& known) {
        // "a/." is a in its parent "a": the walker opens the directory itself.
        const auto listed = walkers_.at(prefix + ".", [&](int directory, const char*) -> Result<> {
            const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            DIR* const stream = copy < 0 ? nullptr : ::fdopendir(copy);
            if (stream == nullptr) {
                return fail_errno(prefix);
            }
            while (const dirent* child = ::readdir(stream)) {
                const std::string_view name = child->d_name;
                const auto path = prefix + std::string(name);
                if (name != "." && name != ".." && !known.contains(path)) {
                    add({path, "is not in the index", TreeFault::none});
                }
            }
            ::closedir(stream);
            return {};
        });
        (void)listed; // A directory that cannot be opened was told about already.
    }

    WalkerPool walkers_;
    const Tree& tree_;
    const VerifyOptions& options_;
    Progress& progress_;
    std::mutex mutex_;
    std::vector<TreeFault> faults_;
};

} // namespace

Result<std::vector<TreeFault>> verify_tree(const std::filesystem::path& directory, const Tree& tree,
                                           const VerifyOptions& options, Progress& progress,
                                           std::stop_token stop) {
    return WalkerPool::open(directory).and_then([&](WalkerPool walkers) {
        return Verification(std::move(walkers), tree, options, progress).run(std::move(stop));
    });
}

} // namespace slipway::agent
