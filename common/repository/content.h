#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "common/delta/scratch.h"
#include "common/format/index.h"
#include "common/format/pack.h"
#include "common/io/progress.h"
#include "common/repository/temporary_file.h"
#include "common/repository/tree.h"

namespace slipway {

/// A walked tree with the digests of its files, and its file index in a temporary file: all that a
/// publisher knows of the new version. Reading is thread-safe.
class Content {
public:
    /// Reads and hashes all files in parallel. The tree may not change meanwhile: Errc::changed,
    /// naming the file. `progress` may be nullptr.
    [[nodiscard]] static Result<Content> scan(Tree tree, const std::filesystem::path& temporary,
                                              Progress* progress, const std::stop_token& stop);

    [[nodiscard]] const Tree& tree() const { return tree_; }
    [[nodiscard]] const Sha256Digest& index_digest() const { return index_digest_; }
    [[nodiscard]] std::uint64_t index_bytes() const { return index_bytes_; }
    [[nodiscard]] const IndexSummary& summary() const { return summary_; }
    /// Digests of the chunks of name number `name`; empty for all but files.
    [[nodiscard]] std::span<const Sha256Digest> digests(std::size_t name) const;

    /// A chunk of this content: number `chunk` of the file `name`, or the file index.
    struct Chunk {
        std::uint32_t name = 0;
        std::uint32_t chunk = 0;
        [[nodiscard]] bool is_index() const { return name == index_name; }
        static constexpr std::uint32_t index_name = ~std::uint32_t{0};
    };
    /// Each different chunk once: the file index, then those of files in the order of the tree; the
    /// first file that holds a chunk stands for all.
    [[nodiscard]] const std::vector<Chunk>& chunks() const { return chunks_; }
    [[nodiscard]] const Sha256Digest& digest_of(Chunk chunk) const;
    [[nodiscard]] ChunkRef ref_of(Chunk chunk) const;
    /// Path of the file; empty for the index.
    [[nodiscard]] std::string_view path_of(Chunk chunk) const;

    /// The chunk's bytes into `out`, which has its length. Errc::changed if they are not the ones
    /// that were hashed.
    [[nodiscard]] Result<> read_into(Chunk chunk, std::span<std::uint8_t> out) const;
    [[nodiscard]] Result<Bytes> read(Chunk chunk) const;
    [[nodiscard]] std::uint64_t total_bytes(std::span<const Chunk> chunks) const;
    /// Several chunks, one after the other, into `out`, which has their length.
    [[nodiscard]] Result<> read_all(std::span<const Chunk> chunks,
                                    std::span<std::uint8_t> out) const;
    /// Several chunks, one after the other, given to `use`. Small totals share one buffer a thread,
    /// because taking memory anew for each block costs a tenth of the time of publishing.
    template <typename Use>
    [[nodiscard]] auto with_bytes(std::span<const Chunk> chunks, const Use& use) const
        -> Result<decltype(use(ByteSpan()))> {
        thread_local Bytes kept;
        const auto total = total_bytes(chunks);
        std::optional<Scratch> own;
        if (total > kept_buffer_bytes_max) {
            own.emplace(total);
        } else {
            kept.resize(std::max<std::size_t>(kept.size(), total));
        }
        const auto buffer = own ? own->bytes() : std::span(kept).first(total);
        return read_all(chunks, buffer).map([&] { return use(ByteSpan(buffer)); });
    }

private:
    static constexpr std::uint64_t kept_buffer_bytes_max = 10ULL * 1024 * 1024;
    explicit Content(Tree tree) : tree_(std::move(tree)) {}
    [[nodiscard]] Result<> hash_file(std::size_t name, Progress* progress);
    /// Refuses a tree whose file index would be too long before the long work begins.
    [[nodiscard]] Result<> check_index_length() const;
    [[nodiscard]] Result<IndexSummary>
    write_entries(const std::function<Result<>(ByteSpan)>& write) const;
    [[nodiscard]] Result<> write_index(const std::filesystem::path& temporary);
    [[nodiscard]] IndexEntry entry_of(std::size_t name) const;
    void list_chunks();

    Tree tree_;
    std::vector<std::size_t> first_digest_; ///< Of each name, and the end.
    std::vector<Sha256Digest> digests_;
    std::vector<std::uint64_t> checks_; ///< ChangeCheck of each chunk of digests_.
    std::vector<Chunk> chunks_;
    TemporaryFile index_;
    Sha256Digest index_digest_;
    std::uint64_t index_bytes_ = 0;
    IndexSummary summary_;
};

} // namespace slipway
