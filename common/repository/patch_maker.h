#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/repository/arrange.h"
#include "common/repository/chunk_vault.h"
#include "common/repository/content.h"
#include "common/repository/pack_writer.h"
#include "common/repository/predecessor.h"
#include "common/repository/reader.h"

namespace slipway {

/// What chunks cost a host that fetches them in full: their share of the block that they are in.
class FullCosts {
public:
    /// A chunk that several full blocks hold counts with the cheapest share.
    void add(const PackToc& toc);
    [[nodiscard]] std::uint64_t of(const ChunkRef& chunk) const;

private:
    std::unordered_map<ChunkKey, std::uint64_t> costs_;
};

/// Makes the pack that brings a host from one older version to the content that is published.
class PatchMaker {
public:
    /// All must outlive the maker. `temporary` takes decoded chunks of the older version.
    PatchMaker(const Content& content, ArtifactMetadata old, PackShelf& shelf,
               const std::filesystem::path& temporary)
        : content_(content), old_(std::move(old)), vault_(shelf, temporary) {}

    /// Reads the older version's index and finds the older selves of the changed files.
    [[nodiscard]] Result<> prepare(const std::stop_token& stop);

    [[nodiscard]] const ArtifactMetadata& old() const { return old_; }
    /// Bytes of the chunks that a host with the older version lacks.
    [[nodiscard]] std::uint64_t fresh_bytes() const;
    /// True if the file number `name` of the content has an older self.
    [[nodiscard]] bool has_predecessor(std::uint32_t name) const {
        return predecessors_.contains(name);
    }

    /// Writes the pack; nothing if no patch is worth it. A patch is worth it when it takes at most
    /// 0.8 of what the chunks cost in full.
    [[nodiscard]] Result<std::optional<WrittenPack>> write(const FullCosts& full, EffortLevel level,
                                                           const PackOptions& options,
                                                           const std::stop_token& stop);

private:
    struct OldFile {
        std::string path;
        std::uint64_t bytes = 0;
        std::vector<Sha256Digest> chunks;
        [[nodiscard]] ChunkRef chunk(std::size_t i) const;
    };
    struct Target {
        Content::Chunk chunk;
        std::vector<ChunkRef> bases;
    };

    [[nodiscard]] ChunkRef old_index() const;
    [[nodiscard]] Result<> read_old_index(const std::stop_token& stop);
    void list_fresh();
    [[nodiscard]] Result<> find_predecessors(const std::stop_token& stop);
    [[nodiscard]] Result<> match_by_content(Predecessors& predecessors,
                                            const std::vector<std::uint32_t>& names,
                                            const std::stop_token& stop);
    [[nodiscard]] std::vector<ChunkRef> bases_of(Content::Chunk chunk) const;
    [[nodiscard]] EncodeJob job_for(const std::vector<std::size_t>& group,
                                    const std::vector<Target>& targets, const FullCosts& full,
                                    EffortLevel level) const;
    [[nodiscard]] Result<std::optional<Encoded>> encode(const std::vector<Content::Chunk>& chunks,
                                                        const std::vector<ChunkRef>& bases,
                                                        EffortLevel level,
                                                        std::size_t bytes_max) const;

    const Content& content_;
    ArtifactMetadata old_;
    ChunkVault vault_;
    std::vector<OldFile> old_files_;
    std::unordered_set<ChunkKey> old_chunks_;
    std::vector<Content::Chunk> fresh_; ///< Chunks that the older version lacks.
    std::unordered_map<std::uint32_t, std::size_t> predecessors_; ///< Name -> old file.
};

} // namespace slipway
