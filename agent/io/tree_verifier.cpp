#include "agent/io/tree_verifier.h"

#include <algorithm>
#include <array>
#include <dirent.h>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_set>

#include "agent/io/content_check.h"
#include "agent/io/directory_walker.h"
#include "common/core/errc.h"
#include "common/io/parallel.h"

namespace slipway::agent {
namespace {

constexpr std::uint64_t task_bytes = 4ULL * 1024 * 1024;
constexpr std::size_t task_chunks = 64;

// Runs of chunks that are worth a worker's while; a file without chunks is one without bytes.
std::vector<std::vector<FileChunk>> tasks_of(const Tree& tree) {
    std::vector<std::vector<FileChunk>> tasks(1);
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
            for (const auto& item : tasks[i]) {
                check(item.file,
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

    Verdict file(FileChunk item, int parent, const char* name) {
        const auto& entry = tree_.entries[item.file];
        struct stat info{};
        if (::fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
            return cannot("examined");
        }
        if (!S_ISREG(info.st_mode)) {
            return "is not a file";
        }
        if (info.st_size != static_cast<off_t>(entry.bytes)) {
            return "has " + std::to_string(info.st_size) + " bytes, should have " +
                   std::to_string(entry.bytes);
        }
        auto verdict = wrong_mode(info, installed_mode(entry));
        if (verdict.empty() && options_.read_contents && !entry.chunks.empty()) {
            progress_.add(chunk_length(entry.bytes, item.chunk));
            verdict = wrong_content(parent, name, tree_, item, ReadFrom::cache);
        }
        return verdict;
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
