#pragma once

#include <cstdint>
#include <string>

#include "agent/core/seal.h"
#include "agent/core/tree.h"

namespace slipway::agent {

/// Who answers when a file is read.
enum class ReadFrom : std::uint8_t {
    cache, ///< The page cache, where it has the bytes.
    disk,  ///< The disk itself: bytes that are not there yet are written first.
};

/// One chunk of a file of a tree.
struct FileChunk {
    std::uint32_t file;  ///< Its number in Tree::entries.
    std::uint32_t chunk; ///< Of that file.
};

/// What is wrong with a chunk's bytes in the file `name` of the directory `parent`, in words that
/// follow the path; empty if they have the index's SHA-256. Symlinks are not followed. Reads around
/// the page cache (O_DIRECT) where the file system can, so that what the cache holds stays warm;
/// else drops it first. Thread-safe; a thread keeps 1 MiB.
[[nodiscard]] std::string wrong_content(int parent, const char* name, const Tree& tree,
                                        FileChunk at, ReadFrom from);

/// What reading a chunk gave.
struct CheckedContent {
    std::string wrong; ///< As of wrong_content().
    Seal seal;         ///< Of these bytes; none if something is wrong.
};
/// The same with seals. Bytes that fit `known` are right, and SHA-256 is not asked; else (`known`
/// is not there, or does not fit) it decides, and a new seal is made.
[[nodiscard]] CheckedContent check_content(int parent, const char* name, const Tree& tree,
                                           FileChunk at, ReadFrom from, Sealing& sealing,
                                           const Seal& known);

/// The same as wrong_content() for a file that is open. `direct`: it was opened with O_DIRECT.
[[nodiscard]] std::string wrong_content(int fd, bool direct, const Tree& tree, FileChunk at);

/// "is missing", or what errno says of it: "cannot be read: Input/output error".
[[nodiscard]] std::string cannot(const char* what);

} // namespace slipway::agent
