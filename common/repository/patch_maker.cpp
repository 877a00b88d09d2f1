#include "common/repository/patch_maker.h"

#include <algorithm>
#include <set>

#include "common/core/errc.h"
#include "common/delta/likeness.h"
#include "common/io/parallel.h"

namespace slipway {
namespace {

/// Measured over release pairs: patches above this share of the full bytes save too little to be
/// stored a second time.
constexpr double patch_share_max = 0.8;

std::uint64_t total_bytes(const std::vector<ChunkRef>& chunks) {
    std::uint64_t sum = 0;
    for (const auto& chunk : chunks) {
        sum += chunk.bytes;
    }
    return sum;
}

} // namespace

void FullCosts::add(const PackToc& toc) {
    for (const auto& block : toc.blocks) {
        const auto raw_bytes = block.raw_bytes();
        for (const auto& chunk : block.chunks) {
            if (block.is_full()) {
                const auto share = static_cast<double>(block.encoded_bytes) *
                                   static_cast<double>(chunk.bytes) /
                                   static_cast<double>(raw_bytes);
                const auto cost = static_cast<std::uint64_t>(share) + 1;
                const auto [known, is_new] = costs_.try_emplace(chunk.key, cost);
                known->second = std::min(known->second, cost);
            }
        }
    }
}

std::uint64_t FullCosts::of(const ChunkRef& chunk) const {
    const auto cost = costs_.find(chunk.key);
    return cost == costs_.end() ? chunk.bytes : cost->second;
}

ChunkRef PatchMaker::OldFile::chunk(std::size_t i) const {
    return {ChunkKey::of(chunks[i]), chunk_length(bytes, i)};
}

ChunkRef PatchMaker::old_index() const {
    return {ChunkKey::of(old_.manifest.index), old_.manifest.index_bytes};
}

Result<> PatchMaker::prepare(const std::stop_token& stop) {
    return read_old_index(stop).and_then([&] {
        list_fresh();
        return find_predecessors(stop);
    });
}

Result<> PatchMaker::read_old_index(const std::stop_token& stop) {
    return vault_.fill(old_.packs.packs, {old_index()}, stop)
        .and_then([&] { return vault_.read(old_index()); })
        .and_then([&](const ChunkBytes& index) {
            old_chunks_.insert(old_index().key);
            return for_each_entry(index.bytes(), "file index of " + old_.manifest.id.text(),
                                  [&](const IndexEntry& entry) -> Result<> {
                                      for (const auto& digest : entry.chunks) {
                                          old_chunks_.insert(ChunkKey::of(digest));
                                      }
                                      if (!entry.chunks.empty()) {
                                          old_files_.push_back(
                                              {entry.path, entry.bytes, entry.chunks});
                                      }
                                      return {};
                                  });
        })
        .map([](const IndexSummary&) {});
}

void PatchMaker::list_fresh() {
    std::ranges::copy_if(content_.chunks(), std::back_inserter(fresh_),
                         [&](const Content::Chunk& chunk) {
                             return !old_chunks_.contains(content_.ref_of(chunk).key);
                         });
}

std::uint64_t PatchMaker::fresh_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& chunk : fresh_) {
        sum += content_.ref_of(chunk).bytes;
    }
    return sum;
}

Result<> PatchMaker::find_predecessors(const std::stop_token& stop) {
    const auto& names = content_.tree().names();
    std::set<std::uint32_t> changed;
    for (const auto& chunk : fresh_) {
        if (!chunk.is_index()) {
            changed.insert(chunk.name);
        }
    }
    const std::vector<std::uint32_t> numbers(changed.begin(), changed.end());
    std::vector<Kin> fresh;
    fresh.reserve(numbers.size());
    for (const auto name : numbers) {
        fresh.push_back({names[name].path, names[name].stamp.bytes});
    }
    std::vector<std::string_view> all_new;
    for (const auto& name : names) {
        if (name.kind == EntryKind::file) {
            all_new.push_back(name.path);
        }
    }
    std::ranges::sort(all_new);
    std::vector<Kin> old;
    old.reserve(old_files_.size());
    for (const auto& file : old_files_) {
        old.push_back({file.path, file.bytes});
    }
    Predecessors predecessors(std::move(fresh), all_new, std::move(old));
    if (auto matched = match_by_content(predecessors, numbers, stop); !matched) {
        return matched;
    }
    predecessors.match_by_base_name();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        if (const auto match = predecessors.matches()[i]) {
            predecessors_.emplace(numbers[i], *match);
        }
    }
    return {};
}

Result<> PatchMaker::match_by_content(Predecessors& predecessors,
                                      const std::vector<std::uint32_t>& names,
                                      const std::stop_token& stop) {
    if (predecessors.unmatched().empty() || predecessors.gone().empty()) {
        return {};
    }
    // The first chunk stands for the whole of a large file.
    std::vector<ChunkRef> gone;
    for (const auto old : predecessors.gone()) {
        gone.push_back(old_files_[old].chunk(0));
    }
    if (auto filled = vault_.fill(old_.packs.packs, gone, stop); !filled) {
        return filled;
    }
    std::vector<Sketch> old_sketches(gone.size());
    std::vector<Sketch> fresh_sketches(predecessors.unmatched().size());
    // One worker a chunk of up to 64 MiB: two at a time keep the memory bounded.
    const auto workers = std::min(worker_count(), 2U);
    return parallel_for(gone.size(), workers, stop,
                        [&](std::size_t i) {
                            return vault_.read(gone[i]).map([&](const ChunkBytes& bytes) {
                                old_sketches[i] = sketch_of(bytes.bytes());
                            });
                        })
        .and_then([&] {
            return parallel_for(fresh_sketches.size(), workers, stop, [&](std::size_t i) {
                const auto name = names[predecessors.unmatched()[i]];
                return content_.read({name, 0}).map(
                    [&](const Bytes& bytes) { fresh_sketches[i] = sketch_of(bytes); });
            });
        })
        .map([&] { predecessors.match_by_likeness(fresh_sketches, old_sketches); });
}

std::vector<ChunkRef> PatchMaker::bases_of(Content::Chunk chunk) const {
    if (chunk.is_index()) {
        return {old_index()};
    }
    const auto found = predecessors_.find(chunk.name);
    if (found == predecessors_.end()) {
        return {};
    }
    const auto& old = old_files_[found->second];
    const auto count = old.chunks.size();
    const auto same = std::min<std::size_t>(chunk.chunk, count - 1);
    // In a file that grew, content that moved is at a later place than it was, so the chunk before
    // may hold it; in one that shrank, the chunk after.
    const bool grew = content_.tree().names()[chunk.name].stamp.bytes >= old.bytes;
    auto first = same;
    auto last = same;
    if (count > 1) {
        const bool before = same + 1 == count || (grew && same > 0);
        first = before ? same - 1 : same;
        last = first + 1;
    }
    std::vector<ChunkRef> bases;
    for (auto i = first; i <= last; ++i) {
        bases.push_back(old.chunk(i));
    }
    if (bases.size() == 2 && bases[0] == bases[1]) {
        bases.pop_back();
    }
    return bases;
}

Result<std::optional<Encoded>> PatchMaker::encode(const std::vector<Content::Chunk>& chunks,
                                                  const std::vector<ChunkRef>& bases,
                                                  EffortLevel level, std::size_t bytes_max) const {
    return vault_.places()
        .gather_before(bases, content_.total_bytes(chunks))
        .and_then([&](PatchRoom room) {
            return content_.read_all(chunks, room.raw()).map([&] {
                return encode_patch_within(room.raw(), room.base(), level, bytes_max);
            });
        });
}

EncodeJob PatchMaker::job_for(const std::vector<std::size_t>& group,
                              const std::vector<Target>& targets, const FullCosts& full,
                              EffortLevel level) const {
    EncodeJob job;
    std::vector<Content::Chunk> chunks;
    std::set<ChunkKey> listed;
    std::uint64_t full_cost = 0;
    for (const auto number : group) {
        const auto& target = targets[number];
        chunks.push_back(target.chunk);
        job.chunks.push_back(content_.ref_of(target.chunk));
        full_cost += full.of(job.chunks.back());
        for (const auto& base : target.bases) {
            if (listed.insert(base.key).second) {
                job.bases.push_back(base);
            }
        }
    }
    job.memory_bytes = 2 * total_bytes(job.chunks) + total_bytes(job.bases);
    const auto bytes_max =
        static_cast<std::size_t>(patch_share_max * static_cast<double>(full_cost));
    job.encode = [this, chunks = std::move(chunks), bases = job.bases, level, bytes_max] {
        return encode(chunks, bases, level, bytes_max);
    };
    return job;
}

Result<std::optional<WrittenPack>> PatchMaker::write(const FullCosts& full, EffortLevel level,
                                                     const PackOptions& options,
                                                     const std::stop_token& stop) {
    std::vector<Target> targets;
    std::vector<Arrangeable> arrangeables;
    for (const auto& chunk : fresh_) {
        auto bases = bases_of(chunk);
        const auto bytes = content_.ref_of(chunk).bytes;
        // A small chunk without an older self can still gain from its neighbours' bases.
        if (!bases.empty() || bytes <= small_chunk_bytes_max) {
            arrangeables.push_back(
                {content_.path_of(chunk), bytes, total_bytes(bases), chunk.is_index(), 0});
            targets.push_back({chunk, std::move(bases)});
        }
    }
    std::vector<EncodeJob> jobs;
    std::vector<ChunkRef> wanted;
    for (const auto& group : arrange(arrangeables, {patch_group_bytes, patch_group_base_bytes})) {
        auto job = job_for(group, targets, full, level);
        if (!job.bases.empty()) {
            wanted.insert(wanted.end(), job.bases.begin(), job.bases.end());
            jobs.push_back(std::move(job));
        }
    }
    return vault_.fill(old_.packs.packs, wanted, stop).and_then([&] {
        return write_pack(jobs, options, stop);
    });
}

} // namespace slipway
