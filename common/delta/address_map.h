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

/// Says where what stood at an address of the base's program stands in the new one. Offsets follow
/// the copy runs; what no run covers moves with the run before it.
class AddressMap {
public:
    /// The spans must outlive the map. Memory: a quarter of `base_bytes`.
    AddressMap(std::span<const SegmentPair> segments, std::span<const CopyRun> runs,
               std::uint64_t base_bytes);

    [[nodiscard]] bool empty() const { return segments_.empty(); }
    /// Address of an offset of the base, or of the new bytes; none outside of the segments.
    [[nodiscard]] std::optional<std::uint64_t> base_address(std::uint64_t offset) const;
    [[nodiscard]] std::optional<std::uint64_t> new_address(std::uint64_t offset) const;
    /// The new address for an address of the base's program; none for one that it does not have.
    [[nodiscard]] std::optional<std::uint64_t> moved(std::uint64_t base_address) const;

private:
    std::span<const SegmentPair> segments_;
    std::vector<std::int32_t> shifts_; ///< New offset minus base offset, a granule an entry.
};

} // namespace slipway
