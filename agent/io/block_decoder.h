#pragma once

#include <atomic>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "agent/core/fetch_plan.h"
#include "agent/io/installed_content.h"
#include "agent/io/tree_builder.h"

namespace slipway::agent {

/// A pack's table of contents, and its bytes on this host.
struct PackBytes {
    const PackToc* toc = nullptr; ///< Outlives the decoder.
    ByteSpan bytes;               ///< The whole file; only what was fetched means anything.
    std::string name;             ///< For errors.
    /// A read-only mapping of a file: memory that can be given back, and is read again.
    bool is_mapped = false;
};

/// Decodes a plan's blocks into a tree. Independent blocks are decoded in parallel; each chunk that
/// the tree or a later block needs is checked by SHA-256 before it is used. Large chunks are
/// written piece by piece as they are decoded, patches through mappings of their bases and of the
/// file they are for, so that memory stays bounded: about 16 MiB a worker. Of mapped packs
/// about 16 MiB stay resident.
///
/// A block whose result is wrong because a base is: the base is distrusted, the block left out, and
/// what it was for stays wanted. With good bases the pack is at fault: Errc::verification_failed
/// names pack and block.
class BlockDecoder {
public:
    /// All must outlive the decoder. `scratch` is a directory for chunks that are only bases.
    BlockDecoder(TreeBuilder& builder, InstalledContent& installed, std::filesystem::path scratch);

    /// True if every block was decoded; false if bases were distrusted and a new plan is due.
    [[nodiscard]] Result<bool> decode(const Plan& plan, std::span<const PackBytes> packs,
                                      std::stop_token stop);
    /// Bytes of chunks decoded so far.
    [[nodiscard]] std::uint64_t decoded_bytes() const { return decoded_bytes_; }

private:
    struct Job {
        const PackBytes& pack;
        const Block& block;
    };
    [[nodiscard]] Result<> run(const Job& job);
    [[nodiscard]] Result<> decode_large(const Job& job, ByteSpan base);
    [[nodiscard]] Result<> decode_in_pieces_to(const Job& job, ByteSpan encoded,
                                               const ChunkTarget& target);
    [[nodiscard]] Result<> decode_mapped_to(const Job& job, ByteSpan encoded, ByteSpan base,
                                            const ChunkTarget& target);
    [[nodiscard]] Result<> use_target(const Job& job, const ChunkTarget& target,
                                      const Sha256Digest& digest);
    [[nodiscard]] Result<> decode_small(const Job& job, ByteSpan base);
    [[nodiscard]] Result<> use_chunk(const Job& job, const ChunkRef& chunk, ByteSpan bytes);
    [[nodiscard]] Result<> keep_as_base(const ChunkKey& key, ByteSpan bytes);
    [[nodiscard]] std::optional<ChunkPlace> find(const ChunkKey& key) const;
    /// Keeps what is resident of the packs' mappings bounded.
    void give_back(std::uint64_t read_bytes);
    /// Ok if a base is to blame (it is noted then), else the error.
    [[nodiscard]] Result<> blame(const Job& job, const Error& why);

    TreeBuilder& builder_;
    InstalledContent& installed_;
    std::filesystem::path scratch_;
    std::span<const PackBytes> packs_;          ///< Of the plan at work.
    std::unordered_set<ChunkKey> bases_;        ///< Of the blocks of the plan.
    std::atomic<std::uint64_t> read_bytes_ = 0; ///< Since memory was given back.
    mutable std::mutex mutex_;                  ///< Guards what follows.
    std::unordered_map<ChunkKey, ChunkPlace> kept_;
    std::vector<ChunkKey> corrupt_;
    std::uint64_t decoded_bytes_ = 0;
};

} // namespace slipway::agent
