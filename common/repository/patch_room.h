#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "common/core/bytes.h"
#include "common/core/result.h"

namespace slipway {

/// The bases of a patch, and right behind them in memory room for the bytes that it is to make:
/// zstd searches a prefix that its input follows at 1.6 times the rate of one that lies elsewhere.
///
///     | base, mapped or copied | raw |
///
/// Memory: pages that were touched; those of a mapped base can be dropped by the system.
class PatchRoom {
public:
    /// Room for both, not zeroed on purpose. Throws std::bad_alloc when the address space is not to
    /// be had.
    PatchRoom(std::uint64_t base_bytes, std::uint64_t raw_bytes);
    /// `base_bytes` at `offset` of a file are the base, mapped. The file must not shrink meanwhile.
    /// Errc::verification_failed if it is too short.
    [[nodiscard]] static Result<PatchRoom> behind_file(const std::filesystem::path& path,
                                                       std::uint64_t offset,
                                                       std::uint64_t base_bytes,
                                                       std::uint64_t raw_bytes);
    ~PatchRoom();
    PatchRoom(PatchRoom&& other) noexcept;
    PatchRoom& operator=(PatchRoom&&) = delete;
    PatchRoom(const PatchRoom&) = delete;
    PatchRoom& operator=(const PatchRoom&) = delete;

    [[nodiscard]] ByteSpan base() const { return {data_ + skip_, base_bytes_}; }
    /// To copy a base into that no file holds in one run.
    [[nodiscard]] std::span<std::uint8_t> base_room() { return {data_ + skip_, base_bytes_}; }
    [[nodiscard]] std::span<std::uint8_t> raw() {
        return {data_ + skip_ + base_bytes_, raw_bytes_};
    }

private:
    PatchRoom(std::size_t skip, std::uint64_t base_bytes, std::uint64_t raw_bytes);
    [[nodiscard]] std::size_t length() const { return skip_ + base_bytes_ + raw_bytes_ + 1; }

    std::uint8_t* data_ = nullptr;
    std::size_t skip_ = 0; ///< From the page boundary to the base.
    std::size_t base_bytes_ = 0;
    std::size_t raw_bytes_ = 0;
};

} // namespace slipway
