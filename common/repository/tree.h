#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "common/format/index.h"
#include "common/io/file_ops.h"

namespace slipway {

/// What tells that a file is the one that was looked at before, unchanged.
struct FileStamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t bytes = 0;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    auto operator<=>(const FileStamp&) const = default;
};

/// A name in a tree that is published.
struct TreeName {
    std::string path; ///< As in IndexEntry.
    EntryKind kind = EntryKind::file;
    std::uint32_t mode = 0;
    FileStamp stamp;
    std::string target;  ///< Of a symlink.
    std::size_t first{}; ///< Of a hard link: number of the file that it names.
    bool linked = false; ///< Of a file: hard links to it follow.
};

/// A directory tree as it was when it was walked; its files are read later, and every read notices
/// that a file is not the one that was walked. No name is followed through a symlink.
/// Reading is thread-safe.
class Tree {
public:
    struct Options {
        bool allow_setuid = false;
    };
    /// Errors name the path: devices, sockets and FIFOs, set-user-ID and set-group-ID files (unless
    /// allowed), what cannot be read, names over the limits of index.h; Errc::failed or an errno.
    [[nodiscard]] static Result<Tree> walk(const std::filesystem::path& root, Options options,
                                           const std::stop_token& stop);

    /// In the order of the index.
    [[nodiscard]] const std::vector<TreeName>& names() const { return names_; }

    /// An open file, checked to be the one that was walked. Errc::changed if it is not.
    [[nodiscard]] Result<Fd> open(const TreeName& name) const;
    /// Checks an open file again after it was read.
    [[nodiscard]] Result<> check_unchanged(const TreeName& name, int fd) const;
    /// Checks that no directory changed since the walk: no name came or went.
    [[nodiscard]] Result<> check_directories() const;
    /// Number `i` of the file's runs of chunk_bytes_max, into `out`, which has its length.
    [[nodiscard]] Result<> read_chunk(const TreeName& name, std::uint64_t i,
                                      std::span<std::uint8_t> out) const;
    /// For messages: the path below the root's.
    [[nodiscard]] std::string shown(const TreeName& name) const;

private:
    Tree() = default;
    [[nodiscard]] Result<> add_directory(const std::string& path, Options options,
                                         std::vector<std::string>& below);
    [[nodiscard]] Result<> add_name(int directory, const std::string& path, const char* name,
                                    Options options);
    void find_hard_links();
    [[nodiscard]] std::string shown(const std::string& path) const;

    std::filesystem::path root_path_;
    Fd root_;
    FileStamp root_stamp_;
    std::vector<TreeName> names_;
};

} // namespace slipway
