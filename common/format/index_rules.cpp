#include "common/format/index_rules.h"

#include <algorithm>

namespace slipway {
namespace {

using Broken = IndexRules::Broken;

Broken check_path(std::string_view path) {
    if (path.empty() || path.size() > path_bytes_max) {
        return "a path has 1 to " + std::to_string(path_bytes_max) + " bytes";
    }
    for (std::size_t start = 0; start <= path.size();) {
        const auto end = std::min(path.find('/', start), path.size());
        const auto name = path.substr(start, end - start);
        if (name.empty() || name == "." || name == ".." || name.size() > name_bytes_max) {
            return "a path is relative, without empty, '.' or '..' parts and parts over " +
                   std::to_string(name_bytes_max) + " bytes";
        }
        start = end + 1;
    }
    if (path.find('\0') != std::string_view::npos) {
        return "a path holds no zero byte";
    }
    return std::nullopt;
}

std::string_view parent_of(std::string_view path) {
    const auto slash = path.rfind('/');
    return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

bool is_or_is_above(std::string_view directory, std::string_view other) {
    return directory.empty() || directory == other ||
           (other.size() > directory.size() && other.starts_with(directory) &&
            other[directory.size()] == '/');
}

Broken check_symlink(const IndexEntry& entry) {
    if (entry.mode != 0) {
        return "a symlink has no mode";
    }
    if (entry.target.empty() || entry.target.size() > path_bytes_max ||
        entry.target.find('\0') != std::string::npos) {
        return "a symlink's target has 1 to " + std::to_string(path_bytes_max) +
               " bytes, none of them zero";
    }
    return std::nullopt;
}

bool only_files_have(const IndexEntry& entry) {
    return entry.kind == EntryKind::file ||
           (entry.bytes == 0 && entry.chunks.empty() && !entry.linked);
}

} // namespace

IndexRules::PathKey IndexRules::key_of(const std::string& path) {
    const auto digest = sha256(as_bytes(path));
    PathKey key{};
    std::copy_n(digest.bytes.begin(), key.size(), key.begin());
    return key;
}

Broken IndexRules::check_place(const std::string& path) const {
    if (!last_path_.empty() && !index_order(last_path_, path)) {
        return "entries are in order, none twice";
    }
    if (!is_or_is_above(parent_of(path), open_directory_)) {
        return "an entry's parent is a directory entry";
    }
    return std::nullopt;
}

Broken IndexRules::check_file(const IndexEntry& entry) {
    if (entry.bytes > file_bytes_max || entry.chunks.size() != chunk_count(entry.bytes)) {
        return "a file has one digest for each chunk and at most " +
               std::to_string(file_bytes_max) + " bytes";
    }
    if (entry.bytes > tree_bytes_max - summary_.tree_bytes) {
        return "a tree has at most " + std::to_string(tree_bytes_max) + " bytes";
    }
    if (entry.linked) {
        if (linked_.size() >= linked_files_max) {
            return "a tree has at most " + std::to_string(linked_files_max) +
                   " files with hard links";
        }
        linked_.emplace(key_of(entry.path), false);
        ++links_missing_;
    }
    ++summary_.files;
    summary_.tree_bytes += entry.bytes;
    return std::nullopt;
}

Broken IndexRules::check_hard_link(const IndexEntry& entry) {
    if (entry.mode != 0) {
        return "a hard link has no mode of its own";
    }
    const auto file = linked_.find(key_of(entry.target));
    if (file == linked_.end()) {
        return "a hard link names an earlier file that is marked as linked";
    }
    if (!std::exchange(file->second, true)) {
        --links_missing_;
    }
    return std::nullopt;
}

Broken IndexRules::check(const IndexEntry& entry) {
    if (auto broken = check_path(entry.path)) {
        return broken;
    }
    if (auto broken = check_place(entry.path)) {
        return broken;
    }
    if (entry.mode > 07777 || !only_files_have(entry)) {
        return "a mode is at most 07777, and only files have bytes";
    }
    const bool has_target = entry.kind == EntryKind::symlink || entry.kind == EntryKind::hard_link;
    if (!has_target && !entry.target.empty()) {
        return "only links have targets";
    }
    Broken broken;
    switch (entry.kind) {
    case EntryKind::directory:
        break;
    case EntryKind::file:
        broken = check_file(entry);
        break;
    case EntryKind::symlink:
        broken = check_symlink(entry);
        break;
    case EntryKind::hard_link:
        broken = check_hard_link(entry);
        break;
    }
    if (broken) {
        return broken;
    }
    ++summary_.entries;
    last_path_ = entry.path;
    open_directory_ =
        entry.kind == EntryKind::directory ? std::string_view(entry.path) : parent_of(entry.path);
    return std::nullopt;
}

Broken IndexRules::finish() const {
    if (links_missing_ != 0) {
        return "a file that is marked as linked has a hard link";
    }
    return std::nullopt;
}

} // namespace slipway
