#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/io/file_ops.h"

namespace slipway::agent {

/// Opens directories below a root step by step and never through a symlink (O_NOFOLLOW for each
/// step), whatever the names say. Keeps the way to the last one open, so that walking a sorted list
/// of paths opens each directory about once. Not thread-safe.
class DirectoryWalker {
public:
    /// `root` must outlive the walker; `name` is its path, for errors.
    DirectoryWalker(int root, std::string name) : root_(root), name_(std::move(name)) {}

    /// The directory at `path` below the root ("" is the root). The descriptor is the walker's and
    /// lives until the next call.
    [[nodiscard]] Result<int> enter(std::string_view path);

private:
    struct Step {
        std::string name;
        Fd fd;
    };
    int root_;
    std::string name_;
    std::vector<Step> way_;
};

/// Walkers over one root for workers: each takes one, uses it and gives it back. Thread-safe.
class WalkerPool {
public:
    /// Error: the root cannot be opened or is not a directory.
    [[nodiscard]] static Result<WalkerPool> open(const std::filesystem::path& root);

    /// Calls `work` with the parent directory of `path` and the last part of it.
    [[nodiscard]] Result<> at(std::string_view path,
                              const std::function<Result<>(int parent, const char* name)>& work);
    [[nodiscard]] int root() const { return root_.get(); }
    [[nodiscard]] const std::string& name() const { return name_; }

private:
    WalkerPool(Fd root, std::string name);
    std::unique_ptr<DirectoryWalker> take();

    Fd root_;
    std::string name_;
    std::unique_ptr<std::mutex> mutex_;
    std::vector<std::unique_ptr<DirectoryWalker>> idle_;
};

} // namespace slipway::agent
