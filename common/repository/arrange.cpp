#include "common/repository/arrange.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace slipway {
namespace {

std::string_view base_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1); // npos + 1 is 0: the whole path.
}

std::string_view extension(std::string_view name) {
    const auto dot = name.rfind('.');
    return dot == std::string_view::npos || dot == 0 ? std::string_view{} : name.substr(dot);
}

bool is_alone(const Arrangeable& chunk) {
    return chunk.apart || chunk.bytes > small_chunk_bytes_max ||
           chunk.base_bytes > patch_group_bytes;
}

auto order_key(const Arrangeable& chunk) {
    const auto name = base_name(chunk.path);
    const bool alone = is_alone(chunk);
    // Chunks that stand alone keep the order of the tree; they are at the end, the index first.
    return std::tuple(!chunk.apart, chunk.cohort, alone, alone ? chunk.path : extension(name),
                      alone ? std::string_view{} : name, chunk.path);
}

} // namespace

std::vector<std::vector<std::size_t>> arrange(const std::vector<Arrangeable>& chunks,
                                              GroupLimits limits) {
    std::vector<std::size_t> order(chunks.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(order_key(chunks[i]), i); });
    std::vector<std::vector<std::size_t>> groups;
    std::uint64_t bytes = 0;
    std::uint64_t base_bytes = 0;
    for (const auto i : order) {
        const auto& chunk = chunks[i];
        const bool fits =
            !groups.empty() && !is_alone(chunk) && !is_alone(chunks[groups.back().back()]) &&
            chunks[groups.back().back()].cohort == chunk.cohort && bytes < limits.bytes &&
            (limits.base_bytes == 0 || base_bytes + chunk.base_bytes <= limits.base_bytes) &&
            groups.back().size() < group_chunks_max;
        if (!fits) {
            groups.emplace_back();
            bytes = 0;
            base_bytes = 0;
        }
        groups.back().push_back(i);
        bytes += chunk.bytes;
        base_bytes += chunk.base_bytes;
    }
    return groups;
}

} // namespace slipway
