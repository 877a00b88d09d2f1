#include "agent/io/directory_walker.h"

#include <algorithm>
#include <fcntl.h>

#include "agent/core/tree.h"
#include "common/core/errc.h"

namespace slipway::agent {
namespace {

// A deep tree must not use up the process's descriptors.
constexpr std::size_t steps_max = 64;

std::vector<std::string_view> parts_of(std::string_view path) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        const auto slash = std::min(path.find('/'), path.size());
        parts.push_back(path.substr(0, slash));
        path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return parts;
}

} // namespace

Result<int> DirectoryWalker::enter(std::string_view path) {
    const auto parts = parts_of(path);
    std::size_t common = 0;
    while (common < way_.size() && common < parts.size() && way_[common].name == parts[common]) {
        ++common;
    }
    way_.resize(common);
    Fd beyond; // Steps deeper than steps_max are opened and closed again.
    for (std::size_t i = common; i < parts.size(); ++i) {
        const int from = beyond ? beyond.get() : way_.empty() ? root_ : way_.back().fd.get();
        std::string part(parts[i]);
        Fd next(::openat(from, part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!next) {
            return fail_errno("open directory " + name_ + "/" + std::string(path));
        }
        if (i < steps_max) {
            way_.push_back({std::move(part), std::move(next)});
        } else {
            beyond = std::move(next);
        }
    }
    if (beyond) {
        way_.push_back({{}, std::move(beyond)}); // The empty name matches no path's part.
    }
    return way_.empty() ? root_ : way_.back().fd.get();
}

WalkerPool::WalkerPool(Fd root, std::string name)
    : root_(std::move(root)), name_(std::move(name)), mutex_(std::make_unique<std::mutex>()) {}

Result<WalkerPool> WalkerPool::open(const std::filesystem::path& root) {
    return open_file(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).map([&](Fd fd) {
        return WalkerPool(std::move(fd), root.string());
    });
}

std::unique_ptr<DirectoryWalker> WalkerPool::take() {
    const std::scoped_lock lock(*mutex_);
    if (idle_.empty()) {
        return std::make_unique<DirectoryWalker>(root_.get(), name_);
    }
    auto walker = std::move(idle_.back());
    idle_.pop_back();
    return walker;
}

Result<> WalkerPool::at(std::string_view path,
                        const std::function<Result<>(int parent, const char* name)>& work) {
    const auto [parent, name] = split_path(path);
    auto walker = take();
    auto done = walker->enter(parent).and_then(
        [&, last = std::string(name)](int fd) { return work(fd, last.c_str()); });
    const std::scoped_lock lock(*mutex_);
    idle_.push_back(std::move(walker));
    return done;
}

} // namespace slipway::agent
