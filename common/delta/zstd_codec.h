#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>

#include "common/core/bytes.h"
#include "common/core/result.h"

namespace slipway {

/// Parameters of one zstd frame. Zero: what zstd's level says.
struct ZstdTuning {
    int level = 3;
    int window_log = 0;
    int hash_log = 0;
    int chain_log = 0;
    int min_match = 0;
    int strategy = 0;      ///< ZSTD_strategy.
    int target_length = 0; ///< Of the fast strategy: step over bytes that do not match.
    bool long_distance = false;
    int ldm_hash_log = 0;
    int ldm_min_match = 0;
    int ldm_hash_rate_log = 0;
};

/// One frame of `raw` with `base` (empty: none) as prefix, if it is no longer than `bytes_max`.
/// Thread-safe: each thread keeps a context for its next call, unless that is large.
[[nodiscard]] std::optional<Bytes> zstd_encode(ByteSpan raw, ByteSpan base,
                                               const ZstdTuning& tuning, std::size_t bytes_max);

/// Decodes exactly one frame of exactly `out.size()` bytes in one pass: `out` itself is the window,
/// so no more than a context of some 100 KiB is taken, whatever the frame asks for. Refuses a frame
/// that needs a dictionary, that has a window above 128 MiB, or that anything follows.
/// Error: Errc::verification_failed.
[[nodiscard]] Result<> zstd_decode(ByteSpan encoded, ByteSpan base, std::span<std::uint8_t> out);

/// The window that a frame asks for; nothing if it is no frame or above the limit of zstd_decode().
[[nodiscard]] std::optional<std::uint64_t> zstd_window_bytes(ByteSpan encoded);

/// As zstd_decode() without a base, but hands the bytes out in order in pieces of 1 MiB at most.
/// Memory: a window of `window_bytes_max` at most, and a piece.
[[nodiscard]] Result<> zstd_decode_in_pieces(ByteSpan encoded, std::uint64_t raw_bytes,
                                             std::uint64_t window_bytes_max,
                                             const std::function<Result<>(ByteSpan)>& take);

} // namespace slipway
