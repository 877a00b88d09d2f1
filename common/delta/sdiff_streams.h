#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "common/core/bytes.h"
#include "common/delta/match.h"
#include "common/delta/relocate.h"

namespace slipway {

/// The streams of an sdiff-1 patch, in the order in which they stand in it.
enum SdiffStream : std::size_t {
    layout_stream,        ///< Segments, anchors, kinds of fields, number of runs.
    extra_lengths_stream, ///< Of each run: new bytes before it.
    run_lengths_stream,
    shifts_stream,      ///< Of each run: change of (base offset - new offset).
    gaps_stream,        ///< Of each difference: copied bytes before it, and its width.
    byte_values_stream, ///< Differences of one byte.
    word_values_stream, ///< Differences of four bytes.
    extra_stream,       ///< New bytes.
    sdiff_streams
};

/// zstd windows of the streams. They bound the decoder's memory.
inline constexpr int stream_window_log = 20;
inline constexpr int extra_window_log = 23;

/// Calls `visit(offset in the base, offset in the new bytes, length)` for each part of `run` within
/// one block of the base.
template <typename Visit>
void for_each_piece(const CopyRun& run, Visit visit) {
    for (std::size_t done = 0; done < run.bytes;) {
        const std::uint64_t from = run.base + done;
        const auto step =
            std::min<std::size_t>(run.bytes - done, field_block_bytes - from % field_block_bytes);
        visit(from, std::uint64_t{run.at} + done, step);
        done += step;
    }
}

/// Writes into `out`, at run.at, the bytes of `run` with their addresses moved.
void copy_run(const CopyRun& run, ByteSpan base, std::span<std::uint8_t> out,
              const ProgramLayout& layout, const AddressMap& map);

} // namespace slipway
