#include "common/delta/address_map.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <numeric>

namespace slipway {
namespace {

struct Extent {
    std::uint64_t lowest = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t end = 0;
};

/// The addresses from the first to the last segment of the base.
Extent extent_of(std::span<const SegmentPair> segments) {
    Extent extent;
    for (const auto& [base, now] : segments) {
        extent.lowest = std::min(extent.lowest, base.address);
        extent.end = std::max(extent.end, base.address + base.memory);
    }
    return extent;
}

/// Numbers of the runs by the bit width of their lengths, equally wide ones in order.
std::vector<std::uint32_t> shortest_first(std::span<const CopyRun> runs) {
    std::array<std::size_t, 34> begins{};
    for (const auto& run : runs) {
        ++begins[static_cast<std::size_t>(std::bit_width(run.bytes)) + 1];
    }
    std::partial_sum(begins.begin(), begins.end(), begins.begin());
    std::vector<std::uint32_t> order(runs.size());
    for (std::uint32_t i = 0; i < runs.size(); ++i) {
        order[begins[static_cast<std::size_t>(std::bit_width(runs[i].bytes))]++] = i;
    }
    return order;
}

} // namespace

bool mappable(std::span<const SegmentPair> segments, std::uint64_t base_bytes) {
    constexpr std::uint64_t slack_bytes = 64ULL * 1024 * 1024;
    const auto wraps = [](const SegmentPair& pair) {
        return pair.base.address + pair.base.memory < pair.base.address;
    };
    const auto extent = extent_of(segments);
    return segments.empty() || (std::none_of(segments.begin(), segments.end(), wraps) &&
                                extent.end - extent.lowest <= 2 * base_bytes + slack_bytes);
}

AddressMap::AddressMap(std::span<const SegmentPair> segments, std::span<const CopyRun> runs)
    : segments_(segments) {
    if (segments.empty()) {
        return;
    }
    const auto extent = extent_of(segments);
    lowest_ = extent.lowest >> granule_log << granule_log;
    shifts_.assign(((extent.end - lowest_) >> granule_log) + 1, unknown);
    add_runs(runs);
    close_gaps();
}

bool AddressMap::add(const Move& move) {
    if (move.granule >= shifts_.size()) {
        return false;
    }
    shifts_[move.granule] = move.shift;
    return true;
}

void AddressMap::fill(std::uint64_t first, std::uint64_t count, std::int32_t shift) {
    if (count != 0) {
        const auto begin = (first - lowest_) >> granule_log;
        const auto end = std::min<std::uint64_t>(((first + count - 1 - lowest_) >> granule_log) + 1,
                                                 shifts_.size());
        std::fill(shifts_.begin() + static_cast<std::ptrdiff_t>(begin),
                  shifts_.begin() + static_cast<std::ptrdiff_t>(std::max(begin, end)), shift);
    }
}

void AddressMap::add_runs(std::span<const CopyRun> runs) {
    // Where runs overlap in the base a longer one decides, because it is written later.
    for (const auto i : shortest_first(runs)) {
        for (const auto& pair : segments_) {
            add_part(runs[i], pair.base);
        }
    }
}

/// What of `run` lies in `segment` of the base.
void AddressMap::add_part(const CopyRun& run, const Segment& segment) {
    const auto first = std::max<std::uint64_t>(run.base, segment.offset);
    const auto end = std::min(std::uint64_t{run.base} + run.bytes, segment.offset + segment.bytes);
    if (first >= end) {
        return;
    }
    const auto from = segment.address + (first - segment.offset);
    const auto to = new_address(run.at + (first - run.base));
    const auto distance = static_cast<std::int64_t>(to.value_or(from) - from);
    const auto shift = static_cast<std::int32_t>(distance);
    if (to && shift == distance && shift != unknown) {
        fill(from, end - first, shift);
    }
}

/// What no run covers moves with what stands before it in its segment; zeroed data, which is in no
/// file, moves with the end of its segment.
void AddressMap::close_gaps() {
    for (const auto& [base, now] : segments_) {
        auto shift = static_cast<std::int32_t>(now.address - base.address);
        const auto begin = (base.address - lowest_) >> granule_log;
        const auto end = (base.address + base.bytes - lowest_) >> granule_log;
        for (auto i = begin; i < end; ++i) {
            shift = shifts_[i] == unknown ? shift : shifts_[i];
            shifts_[i] = shift;
        }
        fill(base.address + base.bytes, base.memory - base.bytes,
             static_cast<std::int32_t>(now.address + now.bytes - base.address - base.bytes));
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

} // namespace slipway
