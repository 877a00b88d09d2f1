#include "common/repository/base_cover.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

namespace slipway {
namespace {

using Numbers = std::unordered_map<ChunkKey, std::size_t>;

std::vector<std::size_t> by_usefulness(const Numbers& needed,
                                       std::span<const PackToc* const> packs) {
    std::vector<std::size_t> useful(packs.size());
    for (std::size_t pack = 0; pack < packs.size(); ++pack) {
        for (const auto& block : packs[pack]->blocks) {
            if (block.is_full()) {
                useful[pack] += static_cast<std::size_t>(std::ranges::count_if(
                    block.chunks, [&](const ChunkRef& c) { return needed.contains(c.key); }));
            }
        }
    }
    std::vector<std::size_t> order(packs.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t p) { return std::pair(~useful[p], p); });
    return order;
}

} // namespace

bool BaseCover::should_repack() const {
    const auto packs_after = packs.size() + (missing.empty() ? 0 : 1);
    return packs_after > base_packs_max ||
           static_cast<double>(live_bytes) < live_share_min * static_cast<double>(block_bytes);
}

BaseCover cover_by_packs(std::span<const ChunkRef> needed, std::span<const PackToc* const> packs) {
    Numbers numbers;
    numbers.reserve(needed.size());
    for (std::size_t i = 0; i < needed.size(); ++i) {
        numbers.try_emplace(needed[i].key, i);
    }
    BaseCover cover;
    std::vector<bool> held(needed.size());
    for (const auto pack : by_usefulness(numbers, packs)) {
        bool used = false;
        for (const auto& block : packs[pack]->blocks) {
            std::uint64_t live = 0;
            for (const auto& chunk : block.chunks) {
                const auto number = numbers.find(chunk.key);
                if (block.is_full() && number != numbers.end() && !held[number->second]) {
                    held[number->second] = true;
                    live += chunk.bytes;
                }
            }
            if (live > 0) {
                used = true;
                cover.live_bytes += live;
                cover.block_bytes += block.raw_bytes();
            }
        }
        if (used) {
            cover.packs.push_back(pack);
        }
    }
    std::ranges::sort(cover.packs);
    for (std::size_t i = 0; i < needed.size(); ++i) {
        if (!held[i]) {
            cover.missing.push_back(i);
        }
    }
    return cover;
}

} // namespace slipway
