#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace slipway {

/// One run of the base that stands again in the new bytes, nearly unchanged.
struct CopyRun {
    std::uint32_t base = 0; ///< Offset in the base.
    std::uint32_t at = 0;   ///< Offset in the new bytes.
    std::uint32_t bytes = 0;
};

/// A part of a file that a loader maps at an address. Addresses behind `bytes` and below `memory`
/// exist at run time only (zeroed data).
struct Segment {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::uint64_t address = 0;
    std::uint64_t memory = 0; ///< At least `bytes`.
};

/// Segment number i of the base became segment number i of the new bytes.
struct SegmentPair {
    Segment base;
    Segment now;
};

/// A granule of the base's program that moved otherwise than the runs say.
struct Move {
    std::uint64_t granule = 0; ///< Number of the granule in the map.
    std::int32_t shift = 0;    ///< New address minus base address.
};

/// True if the segments of the base lie so close together that an AddressMap of them is small.
[[nodiscard]] bool mappable(std::span<const SegmentPair> segments, std::uint64_t base_bytes);

/// Says where what stood at an address of the base's program stands in the new one
/// (docs/format-sdiff.md, "Where an address went").
class AddressMap {
public:
    /// `segments` must be mappable and outlive the map. Memory: a quarter of `base_bytes` and 8 MiB
    /// at most; nothing without segments.
    AddressMap(std::span<const SegmentPair> segments, std::span<const CopyRun> runs);
    /// False, and nothing done, if the map has no such granule.
    [[nodiscard]] bool add(const Move& move);

    [[nodiscard]] bool empty() const { return segments_.empty(); }
    /// Address of an offset of the base, or of the new bytes; none outside of the segments.
    [[nodiscard]] std::optional<std::uint64_t> base_address(std::uint64_t offset) const;
    [[nodiscard]] std::optional<std::uint64_t> new_address(std::uint64_t offset) const;
    /// The granule of an address; one past the last or more for an address outside.
    [[nodiscard]] std::uint64_t granule_of(std::uint64_t base_address) const {
        return (base_address - lowest_) >> granule_log;
    }
    [[nodiscard]] std::uint64_t granules() const { return shifts_.size(); }
    /// The new address for an address of the base's program; none for one that it does not have.
    [[nodiscard]] std::optional<std::uint64_t> moved(std::uint64_t base_address) const {
        const auto granule = granule_of(base_address);
        if (granule >= shifts_.size() || shifts_[granule] == unknown) {
            return std::nullopt;
        }
        return base_address + static_cast<std::uint64_t>(std::int64_t{shifts_[granule]});
    }

private:
    // Functions start at multiples of 16; 32 costs 0.4 % more bytes and keeps the table in a cache.
    static constexpr unsigned granule_log = 5;
    static constexpr std::int32_t unknown = INT32_MIN;

    void fill(std::uint64_t first, std::uint64_t count, std::int32_t shift);
    void add_runs(std::span<const CopyRun> runs);
    void add_part(const CopyRun& run, const Segment& segment);
    void close_gaps();

    std::span<const SegmentPair> segments_;
    std::uint64_t lowest_ = 0;         ///< The first granule's address.
    std::vector<std::int32_t> shifts_; ///< New address minus base address, a granule an entry.
};

} // namespace slipway
