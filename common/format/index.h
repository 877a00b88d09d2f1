#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/result.h"
#include "common/core/sha256.h"

namespace slipway {

/// A file is cut into runs of this length; each run, and the rest, is a chunk.
inline constexpr std::uint64_t chunk_bytes_max = 64ULL * 1024 * 1024;

/// Limits of one index. A path must fit PATH_MAX and a name NAME_MAX of Linux; the index itself is
/// one chunk, which is enough for about a million names.
inline constexpr std::size_t path_bytes_max = 4095;
inline constexpr std::size_t name_bytes_max = 255;
inline constexpr std::uint64_t file_bytes_max = 1ULL << 44U;
inline constexpr std::uint64_t tree_bytes_max = 1ULL << 50U;
inline constexpr std::uint64_t index_bytes_max = chunk_bytes_max;
inline constexpr std::size_t linked_files_max = 1U << 20U;

enum class EntryKind : std::uint8_t {
    directory = 1,
    file = 2,
    symlink = 3,
    hard_link = 4, ///< Another name of a file that an earlier entry describes.
};

/// One name of an artifact's tree.
struct IndexEntry {
    std::string path; ///< Relative, '/'-separated bytes, never empty, no ".", ".." or empty part.
    EntryKind kind = EntryKind::file;
    std::uint32_t mode = 0;  ///< Permission bits, 07777 at most; 0 for symlinks and hard links.
    std::uint64_t bytes = 0; ///< Of a file.
    std::vector<Sha256Digest> chunks = {}; ///< Of a file: ceil(bytes / chunk_bytes_max) digests.
    std::string target =
        {}; ///< Of a symlink: its text. Of a hard link: the path of the file entry.
    /// Of a file: hard links to it follow. Marked so that a reader must remember these files only.
    bool linked = false;
    bool operator==(const IndexEntry&) const = default;
};

/// Number of chunks of a file of `file_bytes`, and length in bytes of number `i` of them.
[[nodiscard]] std::uint64_t chunk_count(std::uint64_t file_bytes);
[[nodiscard]] std::uint64_t chunk_length(std::uint64_t file_bytes, std::uint64_t i);

/// Order of entries: component by component, so that a directory comes just before all that it
/// holds. True if `left` must stand before `right`.
[[nodiscard]] bool index_order(std::string_view left, std::string_view right);

struct IndexSummary {
    std::uint64_t entries = 0;
    std::uint64_t files = 0;      ///< Without hard links.
    std::uint64_t tree_bytes = 0; ///< Sum of the lengths of files.
};

/// The file index: what an artifact's tree is, name by name (docs/format.md). Canonical: one tree
/// has one index.
///
/// The writer hands out its bytes in pieces, so that memory does not grow with the tree. It refuses
/// what the reader would refuse: entries out of order or twice, a parent that is not a directory
/// entry, a hard link to what is not an earlier file marked `linked`, a `linked` file without hard
/// links, lengths over their limits. Its refusals are Errc::failed and name the path.
class IndexWriter {
public:
    using Sink = std::function<Result<>(ByteSpan)>; ///< Its error ends the writing.
    explicit IndexWriter(Sink sink);
    ~IndexWriter();
    IndexWriter(const IndexWriter&) = delete;
    IndexWriter& operator=(const IndexWriter&) = delete;
    [[nodiscard]] Result<> add(const IndexEntry& entry);
    /// Writes the end mark and hands out what is left. Nothing may be added afterwards.
    [[nodiscard]] Result<IndexSummary> finish();

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Reads an index of untrusted origin entry by entry. After next() gave no entry the whole index
/// was read and was well formed. Errors are Errc::verification_failed and name `what`.
/// Memory: one entry, the path before it, and 40 bytes for each file that is marked `linked`.
class IndexReader {
public:
    /// `bytes` must outlive the reader, for example a MappedFile.
    IndexReader(ByteSpan bytes, std::string what);
    ~IndexReader();
    IndexReader(IndexReader&&) noexcept;
    IndexReader& operator=(IndexReader&&) noexcept;
    [[nodiscard]] Result<std::optional<IndexEntry>> next();
    [[nodiscard]] const IndexSummary& summary() const; ///< Of the entries read so far.

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Calls `visit` for each entry; stops at its first error. Convenience over IndexReader.
[[nodiscard]] Result<IndexSummary>
for_each_entry(ByteSpan index, std::string_view what,
               const std::function<Result<>(const IndexEntry&)>& visit);

} // namespace slipway
