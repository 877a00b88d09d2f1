#pragma once

#include <deque>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "agent/io/block_decoder.h"
#include "agent/io/host_layout.h"
#include "agent/io/installed_content.h"
#include "agent/io/pack_source.h"
#include "common/format/plan.h"

namespace slipway::agent {

/// The packs that an artifact's pack map lists, of which no more is fetched than is needed: tables
/// of contents to plan with, then the blocks of a plan. Not thread-safe.
class ArtifactPacks {
public:
    /// `map` and `source` must outlive it. `have`: digests of installed releases' manifests.
    ArtifactPacks(const PackMap& map, PackSource& source, const HostLayout& host,
                  std::vector<Sha256Digest> have);

    /// How to get `wanted` given what is installed; fetches tables of contents as needed.
    /// Errc::not_found: the repository's packs do not lead to a chunk.
    [[nodiscard]] Result<Plan> plan(std::span<const ChunkRef> wanted,
                                    const InstalledContent& installed, std::stop_token stop);

    /// Bytes that fetch() will add to this host for `plan`, in whole pieces.
    [[nodiscard]] Result<std::uint64_t> missing_bytes(const Plan& plan, std::stop_token stop);
    [[nodiscard]] Result<> fetch(const Plan& plan, std::stop_token stop);

    /// Tables and mapped bytes of the packs that plans number; valid as long as this object is and
    /// until the next call of plan().
    [[nodiscard]] Result<std::vector<PackBytes>> bytes();

    /// One chunk, decoded in memory: for an index. A base that proves corrupt is distrusted and the
    /// way is planned anew.
    [[nodiscard]] Result<Bytes> get_chunk(const Sha256Digest& digest, std::uint64_t bytes,
                                          InstalledContent& installed, std::stop_token stop);

private:
    struct Pack {
        const PackEntry* entry;
        PackToc toc;
        std::optional<MappedFile> mapping;
    };
    [[nodiscard]] Result<> load_next_round(std::stop_token stop);
    [[nodiscard]] Result<PackToc> read_toc(const PackEntry& entry) const;
    [[nodiscard]] std::vector<PackRequest> requests_for(const Plan& plan) const;
    [[nodiscard]] Result<std::optional<Bytes>>
    decode_chunk(const Plan& plan, const Sha256Digest& digest, InstalledContent& installed);

    const PackMap& map_;
    PackSource& source_;
    const HostLayout& host_;
    std::vector<std::vector<std::size_t>> rounds_;
    std::size_t next_round_ = 0;
    std::deque<Pack> packs_; ///< In the order in which plans number them.
};

} // namespace slipway::agent
