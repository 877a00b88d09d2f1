#include "common/delta/address_map.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace slipway {
namespace {

// Functions start at multiples of 16, so that a finer map would say little more.
constexpr unsigned granule_log = 4;
constexpr std::int32_t unknown = std::numeric_limits<std::int32_t>::min();

std::vector<std::uint32_t> shortest_first(std::span<const CopyRun> runs) {
    std::vector<std::uint32_t> order(runs.size());
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(), [runs](auto l, auto r) {
        return std::pair(runs[l].bytes, l) < std::pair(runs[r].bytes, r);
    });
    return order;
}

} // namespace

AddressMap::AddressMap(std::span<const SegmentPair> segments, std::span<const CopyRun> runs,
                       std::uint64_t base_bytes)
    : segments_(segments) {
    if (segments.empty()) {
        return;
    }
    shifts_.assign((base_bytes >> granule_log) + 1, unknown);
    // Where runs overlap in the base the longest decides, because it is written last.
    for (const auto i : shortest_first(runs)) {
        const auto& run = runs[i];
        if (run.bytes == 0) {
            continue;
        }
        const auto first = run.base >> granule_log;
        const auto last = (run.base + run.bytes - 1) >> granule_log;
        std::fill(shifts_.begin() + first, shifts_.begin() + last + 1,
                  static_cast<std::int32_t>(run.at - run.base));
    }
    std::int32_t before = 0;
    for (auto& shift : shifts_) {
        before = shift == unknown ? before : shift;
        shift = before;
    }
}

std::optional<std::uint64_t> AddressMap::base_address(std::uint64_t offset) const {
    for (const auto& [base, now] : segments_) {
        if (offset - base.offset < base.bytes) {
            return base.address + (offset - base.offset);
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> AddressMap::new_address(std::uint64_t offset) const {
    for (const auto& [base, now] : segments_) {
        if (offset - now.offset < now.bytes) {
            return now.address + (offset - now.offset);
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> AddressMap::moved(std::uint64_t base_address) const {
    for (const auto& [base, now] : segments_) {
        const auto inside = base_address - base.address;
        if (inside >= base.memory) {
            continue;
        }
        if (inside >= base.bytes) {
            return now.address + now.bytes + (inside - base.bytes);
        }
        const auto offset = base.offset + inside;
        const auto shift = shifts_[offset >> granule_log];
        return new_address(offset + static_cast<std::uint64_t>(std::int64_t{shift}));
    }
    return std::nullopt;
}

} // namespace slipway
