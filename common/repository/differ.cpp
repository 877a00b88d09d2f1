#include "common/repository/differ.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "common/core/errc.h"
#include "common/core/merkle.h"
#include "common/delta/codec.h"
#include "common/format/index.h"

namespace slipway {
namespace {

Result<PackToc> fetch_toc(RepositorySource& source, const PackEntry& pack) {
    return source.fetch_range(layout::pack_path(pack.id), pack.toc_offset, pack.toc_bytes)
        .and_then([&](const Bytes& bytes) {
            return decode_toc(bytes, pack.toc_offset, "pack " + pack.id.name());
        });
}

/// The slice of a full block that is the index; nothing if the block does not hold it.
Result<std::optional<Bytes>> index_in(RepositorySource& source, const PackEntry& pack,
                                      const Block& block, const Manifest& manifest) {
    const ChunkRef wanted{ChunkKey::of(manifest.index), manifest.index_bytes};
    const auto found = std::ranges::find(block.chunks, wanted);
    if (!block.is_full() || found == block.chunks.end()) {
        return std::optional<Bytes>();
    }
    const auto skip =
        std::accumulate(block.chunks.begin(), found, std::uint64_t{0},
                        [](std::uint64_t sum, const ChunkRef& c) { return sum + c.bytes; });
    return source.fetch_range(layout::pack_path(pack.id), block.offset, block.encoded_bytes)
        .and_then([&](const Bytes& encoded) -> Result<std::optional<Bytes>> {
            Bytes raw(block.raw_bytes());
            auto decoded = decode_block(block.codec, encoded, {}, raw);
            if (!decoded) {
                return tl::unexpected(within("pack " + pack.id.name(), decoded.error()));
            }
            const auto index = ByteSpan(raw).subspan(skip, wanted.bytes);
            if (sha256(index) != manifest.index) {
                return fail(Errc::verification_failed,
                            "pack " + pack.id.name() + ": file index of " + manifest.id.text());
            }
            return std::optional(Bytes(index.begin(), index.end()));
        });
}

using Entries = std::vector<IndexEntry>;

Result<Entries> read_entries(ByteSpan index, const ArtifactMetadata& artifact) {
    Entries entries;
    return for_each_entry(index, "file index of " + artifact.manifest.id.text(),
                          [&](const IndexEntry& entry) -> Result<> {
                              entries.push_back(entry);
                              return {};
                          })
        .map([&](const IndexSummary&) { return std::move(entries); });
}

/// All chunks of an artifact, its index among them, each once.
std::vector<ChunkRef> chunks_of(const Entries& entries, const Manifest& manifest) {
    std::vector<ChunkRef> chunks{{ChunkKey::of(manifest.index), manifest.index_bytes}};
    std::set<ChunkKey> seen{chunks.front().key};
    for (const auto& entry : entries) {
        for (std::size_t i = 0; i < entry.chunks.size(); ++i) {
            const ChunkRef chunk{ChunkKey::of(entry.chunks[i]), chunk_length(entry.bytes, i)};
            if (seen.insert(chunk.key).second) {
                chunks.push_back(chunk);
            }
        }
    }
    return chunks;
}

/// What a host moves that has the chunks `available` of the artifacts `have`.
Result<std::uint64_t> moved_bytes(RepositorySource& source, const PackMap& map,
                                  const std::vector<ChunkRef>& wanted,
                                  const std::unordered_set<ChunkKey>& available,
                                  std::span<const Sha256Digest> have) {
    std::map<std::size_t, PackToc> tocs;
    std::map<std::size_t, std::vector<PackRange>> ranges;
    Result<Plan> plan = fail(Errc::not_found, "no packs");
    std::vector<std::size_t> numbers;
    for (const auto& round : toc_rounds(map, have)) {
        for (const auto number : round) {
            auto toc = fetch_toc(source, map.packs[number]);
            if (!toc) {
                return tl::unexpected(toc.error());
            }
            tocs.emplace(number, std::move(*toc));
            numbers.push_back(number);
            ranges[number].push_back({map.packs[number].toc_offset, map.packs[number].toc_bytes});
        }
        std::vector<PlanPack> packs;
        packs.reserve(numbers.size());
        for (const auto number : numbers) {
            packs.push_back({&tocs.at(number)});
        }
        plan = make_plan({wanted, &available, nullptr, packs});
        if (plan || plan.error().code != Errc::not_found) {
            break;
        }
    }
    if (!plan) {
        return tl::unexpected(plan.error());
    }
    for (const auto& planned : plan->blocks) {
        const auto number = numbers[planned.pack];
        const auto& block = tocs.at(number).blocks[planned.block];
        ranges[number].push_back({block.offset, block.encoded_bytes});
    }
    std::uint64_t bytes = 0;
    for (auto& [number, parts] : ranges) {
        bytes += piece_rounded(map.packs[number].id.bytes, std::move(parts));
    }
    return bytes;
}

void note(std::vector<std::string>& paths, std::uint64_t& count, const std::string& path,
          std::size_t limit) {
    if (++count <= limit) {
        paths.push_back(path);
    }
}

bool is_same(IndexEntry left, const IndexEntry& right) {
    left.linked = right.linked; // A new link to a file does not change the file.
    return left == right;
}

void compare(const Entries& from, const Entries& to, std::size_t limit, TreeDiff& diff) {
    auto old = from.begin();
    for (const auto& entry : to) {
        for (; old != from.end() && index_order(old->path, entry.path); ++old) {
            note(diff.removed, diff.removed_count, old->path, limit);
        }
        if (old == from.end() || old->path != entry.path) {
            note(diff.added, diff.added_count, entry.path, limit);
            continue;
        }
        if (!is_same(*old, entry)) {
            note(diff.changed, diff.changed_count, entry.path, limit);
        }
        ++old;
    }
    for (; old != from.end(); ++old) {
        note(diff.removed, diff.removed_count, old->path, limit);
    }
}

} // namespace

std::uint64_t piece_rounded(std::uint64_t pack_bytes, std::vector<PackRange> ranges) {
    const std::uint64_t piece = piece_bytes_for(pack_bytes);
    std::ranges::sort(ranges, {}, &PackRange::offset);
    std::uint64_t total = 0;
    std::uint64_t counted_to = 0; // End of the last piece that was counted.
    for (const auto& range : ranges) {
        const auto begin = std::max(counted_to, range.offset / piece * piece);
        const auto end =
            std::min(pack_bytes, (range.offset + range.bytes + piece - 1) / piece * piece);
        if (end > begin) {
            total += end - begin;
            counted_to = end;
        }
    }
    return total;
}

Result<Bytes> load_index(RepositorySource& source, const ArtifactMetadata& artifact) {
    for (const auto& pack : artifact.packs.packs) {
        if (pack.role != PackRole::base) {
            continue;
        }
        const auto toc = fetch_toc(source, pack);
        if (!toc) {
            return tl::unexpected(toc.error());
        }
        for (const auto& block : toc->blocks) {
            auto index = index_in(source, pack, block, artifact.manifest);
            if (!index) {
                return tl::unexpected(index.error());
            }
            if (*index) {
                return std::move(**index);
            }
        }
    }
    return fail(Errc::not_found,
                "no base pack holds the file index of " + artifact.manifest.id.text());
}

Result<TreeDiff> diff_artifacts(RepositorySource& source, const ArtifactMetadata& from,
                                const ArtifactMetadata& to, std::size_t limit) {
    const auto entries_of = [&](const ArtifactMetadata& artifact) {
        return load_index(source, artifact).and_then([&](const Bytes& index) {
            return read_entries(index, artifact);
        });
    };
    const auto old_entries = entries_of(from);
    if (!old_entries) {
        return tl::unexpected(old_entries.error());
    }
    const auto new_entries = entries_of(to);
    if (!new_entries) {
        return tl::unexpected(new_entries.error());
    }
    TreeDiff diff;
    compare(*old_entries, *new_entries, limit, diff);
    const auto wanted = chunks_of(*new_entries, to.manifest);
    std::unordered_set<ChunkKey> available;
    for (const auto& chunk : chunks_of(*old_entries, from.manifest)) {
        available.insert(chunk.key);
    }
    const auto fetch = moved_bytes(source, to.packs, wanted, available, std::span(&from.digest, 1));
    const auto full = moved_bytes(source, to.packs, wanted, {}, {});
    if (!fetch || !full) {
        return tl::unexpected(fetch ? full.error() : fetch.error());
    }
    diff.fetch_bytes = *fetch;
    diff.full_bytes = *full;
    return diff;
}

} // namespace slipway
