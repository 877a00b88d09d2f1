#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "common/core/bytes.h"
#include "common/core/result.h"

namespace slipway {

/// How a block's bytes are encoded. Packs name codecs by their text, so that a reader refuses one
/// that it does not know by name.
enum class Codec : std::uint8_t {
    stored,      ///< "stored": the bytes themselves.
    zstd,        ///< "zstd": one zstd frame (RFC 8878).
    zstd_prefix, ///< "zstd-prefix": one zstd frame with the bases as prefix.
    sdiff,       ///< "sdiff-1": matches with sparse byte differences (docs/format.md).
};
[[nodiscard]] std::string_view to_string(Codec codec);
[[nodiscard]] std::optional<Codec> codec_by_name(std::string_view name);

/// How much time publishing may take for fewer bytes.
struct EffortLevel {
    int zstd_level = 3;     ///< 1 to 19.
    bool try_sdiff = false; ///< `--level max`: also try sdiff and keep the smaller.
};

struct Encoded {
    Codec codec = Codec::stored;
    Bytes bytes;
};

/// The smallest full encoding that `level` finds; `stored` when compression gains nothing.
/// Thread-safe. Memory: what the encoding takes, and zstd's tables (2 MiB at the default level, 90
/// MiB at level 19), which a thread keeps for its next call if they are small.
[[nodiscard]] Encoded encode_full(ByteSpan raw, EffortLevel level);

/// The smallest encoding of `raw` given `base` that `level` finds; never longer than `raw`. Memory:
/// what the encoding takes, and tables of 16 MiB at fast levels; with try_sdiff about 1.5 times
/// `raw` and `base` together and 128 MiB. The caller compares it with the full encoding. `base` may
/// be a mapped file of block_base_bytes_max at most; it must not overlap `raw` in memory. Fast
/// levels run at 1.6 times the rate when `raw` begins where `base` ends (PatchRoom); what they make
/// then differs in a few bytes.
[[nodiscard]] Encoded encode_patch(ByteSpan raw, ByteSpan base, EffortLevel level);
/// The same; nothing if it is longer than `bytes_max`, which saves the time to make it.
[[nodiscard]] std::optional<Encoded> encode_patch_within(ByteSpan raw, ByteSpan base,
                                                         EffortLevel level, std::size_t bytes_max);

/// Decodes into `out`, whose size is exactly the raw length that the table of contents gives.
/// `base` is empty for full encodings. `out` may be a mapped file: nothing but it and a context of
/// some 100 KiB is written or held, for sdiff a quarter of `base`, 32 MiB,
/// and for a hostile patch as much as `out`. Untrusted
/// input: fails with Errc::verification_failed and never reads or writes outside the spans; what
/// `out` holds after a failure is unspecified.
[[nodiscard]] Result<> decode_block(Codec codec, ByteSpan encoded, ByteSpan base,
                                    std::span<std::uint8_t> out);

/// True if decode_in_pieces() takes this encoding: a full one whose window is 8 MiB at most.
[[nodiscard]] bool decodes_in_pieces(Codec codec, ByteSpan encoded);

/// Decodes a full encoding of exactly `raw_bytes` and hands out its bytes in order, up to 1 MiB at
/// a time. Memory: the window and 1 MiB. Untrusted input, as decode_block(). Errors:
/// Errc::verification_failed, and what `take` gives, which ends it.
[[nodiscard]] Result<> decode_in_pieces(Codec codec, ByteSpan encoded, std::uint64_t raw_bytes,
                                        const std::function<Result<>(ByteSpan)>& take);

} // namespace slipway
