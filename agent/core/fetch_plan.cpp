#include "agent/core/fetch_plan.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

namespace slipway::agent {
namespace {

const Block& block_of(const PlannedBlock& planned, std::span<const PackToc* const> packs) {
    return packs[planned.pack]->blocks[planned.block];
}

} // namespace

std::vector<Range> merged(std::vector<Range> ranges) {
    std::ranges::sort(ranges, {}, &Range::offset);
    std::vector<Range> out;
    for (const auto& range : ranges) {
        if (range.bytes == 0) {
            continue;
        }
        if (!out.empty() && range.offset <= out.back().offset + out.back().bytes) {
            const auto end =
                std::max(out.back().offset + out.back().bytes, range.offset + range.bytes);
            out.back().bytes = end - out.back().offset;
        } else {
            out.push_back(range);
        }
    }
    return out;
}

std::vector<Range> rounded_to_pieces(const std::vector<Range>& ranges, std::uint32_t piece_bytes,
                                     std::uint64_t file_bytes) {
    std::vector<Range> out;
    for (const auto& range : ranges) {
        const auto begin = range.offset / piece_bytes * piece_bytes;
        const auto last = (range.offset + range.bytes + piece_bytes - 1) / piece_bytes;
        out.push_back({begin, std::min(last * piece_bytes, file_bytes) - begin});
    }
    return merged(std::move(out));
}

std::uint64_t total_bytes(std::span<const Range> ranges) {
    return std::accumulate(ranges.begin(), ranges.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const Range& range) { return sum + range.bytes; });
}

std::vector<std::vector<Range>> ranges_of(const Plan& plan, std::span<const PackToc* const> packs) {
    std::vector<std::vector<Range>> out(packs.size());
    for (const auto& planned : plan.blocks) {
        const auto& block = block_of(planned, packs);
        out[planned.pack].push_back({block.offset, block.encoded_bytes});
    }
    for (auto& ranges : out) {
        ranges = merged(std::move(ranges));
    }
    return out;
}

std::vector<std::vector<PlannedBlock>> decode_waves(const Plan& plan,
                                                    std::span<const PackToc* const> packs) {
    std::unordered_map<ChunkKey, std::size_t> made_in;
    std::vector<std::vector<PlannedBlock>> waves;
    for (const auto& planned : plan.blocks) {
        std::size_t wave = 0;
        for (const auto& base : block_of(planned, packs).bases) {
            if (const auto made = made_in.find(base.key); made != made_in.end()) {
                wave = std::max(wave, made->second + 1);
            }
        }
        for (const auto& chunk : block_of(planned, packs).chunks) {
            made_in.try_emplace(chunk.key, wave);
        }
        if (waves.size() <= wave) {
            waves.resize(wave + 1);
        }
        waves[wave].push_back(planned);
    }
    for (auto& wave : waves) {
        std::ranges::sort(wave);
    }
    return waves;
}

std::uint64_t scratch_bytes(const Plan& plan, std::span<const PackToc* const> packs,
                            const std::unordered_set<ChunkKey>& wanted) {
    std::unordered_map<ChunkKey, std::uint64_t> decoded;
    std::unordered_set<ChunkKey> kept;
    std::uint64_t sum = 0;
    for (const auto& planned : plan.blocks) {
        for (const auto& base : block_of(planned, packs).bases) {
            const auto made = decoded.find(base.key);
            if (made != decoded.end() && !wanted.contains(base.key) &&
                kept.insert(base.key).second) {
                sum += made->second;
            }
        }
        for (const auto& chunk : block_of(planned, packs).chunks) {
            decoded.try_emplace(chunk.key, chunk.bytes);
        }
    }
    return sum;
}

} // namespace slipway::agent
