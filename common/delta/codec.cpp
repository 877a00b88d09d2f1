#include "common/delta/codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "common/core/errc.h"
#include "common/delta/zstd_codec.h"

namespace slipway {
namespace {

constexpr std::array<std::pair<Codec, std::string_view>, 4> codec_names = {{
    {Codec::stored, "stored"},
    {Codec::zstd, "zstd"},
    {Codec::zstd_prefix, "zstd-prefix"},
    {Codec::sdiff, "sdiff-1"},
}};

ZstdTuning full_tuning(EffortLevel level) {
    ZstdTuning tuning;
    tuning.level = level.zstd_level;
    return tuning;
}

ZstdTuning patch_tuning(ByteSpan raw, ByteSpan base, EffortLevel level) {
    ZstdTuning tuning;
    tuning.level = level.zstd_level;
    // The prefix stays in reach as long as the window holds all of `raw`.
    tuning.window_log =
        std::clamp(static_cast<int>(std::bit_width(raw.size() + base.size())), 10, 27);
    tuning.long_distance = true;
    return tuning;
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
        if (auto frame = zstd_encode(raw, {}, full_tuning(level), raw.size() - 1)) {
            return {Codec::zstd, std::move(*frame)};
        }
    }
    return stored(raw);
}

Encoded encode_patch(ByteSpan raw, ByteSpan base, EffortLevel level) {
    if (!raw.empty() && !base.empty()) {
        if (auto frame = zstd_encode(raw, base, patch_tuning(raw, base, level), raw.size() - 1)) {
            return {Codec::zstd_prefix, std::move(*frame)};
        }
    }
    return stored(raw);
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
        break;
    }
    return fail(Errc::verification_failed, "block has a codec that this version does not know");
}

} // namespace slipway
