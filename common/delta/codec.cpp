#include "common/delta/codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "common/core/errc.h"
#include "common/delta/sdiff.h"
#include "common/delta/zstd_codec.h"

namespace slipway {
namespace {

// What a level up to 19 makes of a large chunk.
constexpr std::uint64_t pieces_window_bytes_max = 8ULL * 1024 * 1024;

constexpr std::array<std::pair<Codec, std::string_view>, 4> codec_names = {{
    {Codec::stored, "stored"},
    {Codec::zstd, "zstd"},
    {Codec::zstd_prefix, "zstd-prefix"},
    {Codec::sdiff, "sdiff-1"},
}};

/// An 8 MiB window makes zstd's next lower level about as small as a level is with its own 2 MiB,
/// at 1.4 times the rate: level 2 over scripts 22.3 MB for 22.0, over programs 53.6 for 51.2.
ZstdTuning full_tuning(ByteSpan raw, EffortLevel level) {
    constexpr std::size_t window_bytes = 8ULL * 1024 * 1024;
    ZstdTuning tuning;
    tuning.level = level.zstd_level <= 3 ? std::max(level.zstd_level - 1, 1) : level.zstd_level;
    if (raw.size() > window_bytes / 4) {
        tuning.window_log = std::bit_width(window_bytes - 1);
    }
    return tuning;
}

/// The prefix stays in reach to its first byte while the window holds all of `raw` (RFC 8878, 5).
///
/// Fast levels: what matters is that the hash table holds the whole base, not how thoroughly it is
/// searched. Over recompiled programs zstd's level 3 with long-distance matching made 18.7 MB at
/// 156 MB/s, a plain table of 2^22 entries over 7-byte matches 14.8 MB at 200 MB/s, and 16.4 MB at
/// 280 MB/s when it steps over every second byte where nothing matches; over scripts it makes the
/// same bytes at twice the rate.
ZstdTuning patch_tuning(ByteSpan raw, ByteSpan base, EffortLevel level) {
    constexpr int fast_strategy = 1;
    ZstdTuning tuning;
    tuning.window_log =
        std::clamp(static_cast<int>(std::bit_width(raw.size() + base.size())), 10, 27);
    if (level.zstd_level <= 4) {
        tuning.level = 1;
        tuning.strategy = fast_strategy;
        tuning.hash_log = std::clamp(static_cast<int>(std::bit_width(base.size())) - 2, 14, 22);
        tuning.min_match = 7;
        tuning.target_length = 2;
    } else {
        tuning.level = level.zstd_level;
        tuning.long_distance = true;
    }
    return tuning;
}

/// A program's patch beats any prefix frame by so much that only a fast one is tried. For the rest
/// level 12 makes 10 % more bytes than 17 and up, at 25 times their rate.
int prefix_level_beside_sdiff(ByteSpan raw, ByteSpan base, EffortLevel level) {
    constexpr std::size_t slow_bytes_max = 4ULL * 1024 * 1024;
    if (sdiff_knows(raw) && sdiff_knows(base)) {
        return 3;
    }
    return raw.size() > slow_bytes_max ? std::min(level.zstd_level, 12) : level.zstd_level;
}

Encoded stored(ByteSpan raw) {
    return {Codec::stored, Bytes(raw.begin(), raw.end())};
}

} // namespace

std::string_view to_string(Codec codec) {
    for (const auto& [known, name] : codec_names) {
        if (known == codec) {
            return name;
        }
    }
    return "unknown";
}

std::optional<Codec> codec_by_name(std::string_view name) {
    for (const auto& [codec, known] : codec_names) {
        if (known == name) {
            return codec;
        }
    }
    return std::nullopt;
}

Encoded encode_full(ByteSpan raw, EffortLevel level) {
    if (!raw.empty()) {
        if (auto frame = zstd_encode(raw, {}, full_tuning(raw, level), raw.size() - 1)) {
            return {Codec::zstd, std::move(*frame)};
        }
    }
    return stored(raw);
}

std::optional<Encoded> encode_patch_within(ByteSpan raw, ByteSpan base, EffortLevel level,
                                           std::size_t bytes_max) {
    if (raw.empty() || base.empty()) {
        return raw.size() <= bytes_max ? std::optional(stored(raw)) : std::nullopt;
    }
    std::optional<Encoded> best;
    auto limit = std::min(raw.size() - 1, bytes_max);
    if (level.try_sdiff) {
        if (auto patch = sdiff_encode(raw, base); patch.size() <= limit) {
            limit = patch.size();
            best = {Codec::sdiff, std::move(patch)};
        }
        level.zstd_level = prefix_level_beside_sdiff(raw, base, level);
    }
    if (auto frame = zstd_encode(raw, base, patch_tuning(raw, base, level), limit)) {
        return Encoded{Codec::zstd_prefix, std::move(*frame)};
    }
    return best || raw.size() > bytes_max ? std::move(best) : std::optional(stored(raw));
}

Encoded encode_patch(ByteSpan raw, ByteSpan base, EffortLevel level) {
    return *encode_patch_within(raw, base, level, raw.size());
}

Result<> decode_block(Codec codec, ByteSpan encoded, ByteSpan base, std::span<std::uint8_t> out) {
    switch (codec) {
    case Codec::stored:
        if (encoded.size() != out.size()) {
            return fail(Errc::verification_failed,
                        "stored block has another length than its chunks");
        }
        std::copy(encoded.begin(), encoded.end(), out.begin());
        return {};
    case Codec::zstd:
        return zstd_decode(encoded, {}, out);
    case Codec::zstd_prefix:
        return zstd_decode(encoded, base, out);
    case Codec::sdiff:
        return sdiff_decode(encoded, base, out);
    }
    return fail(Errc::verification_failed, "block has a codec that this version does not know");
}

bool decodes_in_pieces(Codec codec, ByteSpan encoded) {
    if (codec != Codec::zstd) {
        return codec == Codec::stored;
    }
    const auto window = zstd_window_bytes(encoded);
    return window && *window <= pieces_window_bytes_max;
}

Result<> decode_in_pieces(Codec codec, ByteSpan encoded, std::uint64_t raw_bytes,
                          const std::function<Result<>(ByteSpan)>& take) {
    if (codec == Codec::zstd) {
        return zstd_decode_in_pieces(encoded, raw_bytes, pieces_window_bytes_max, take);
    }
    constexpr std::size_t piece_bytes = 1024ULL * 1024;
    if (codec != Codec::stored || encoded.size() != raw_bytes) {
        return fail(Errc::verification_failed, "stored block has another length than its chunks");
    }
    for (auto left = encoded; !left.empty();) {
        const auto piece = left.first(std::min(left.size(), piece_bytes));
        if (auto taken = take(piece); !taken) {
            return taken;
        }
        left = left.subspan(piece.size());
    }
    return {};
}

} // namespace slipway
