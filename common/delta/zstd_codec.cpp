#include "common/delta/zstd_codec.h"

#include <algorithm>
#include <cassert>
#include <memory>
#include <new>
#include <string>

#include <zstd.h>
#include <zstd_errors.h>

#include "common/core/errc.h"
#include "common/delta/scratch.h"

namespace slipway {
namespace {

struct FreeContext {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
using Compressor = std::unique_ptr<ZSTD_CCtx, FreeContext>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, FreeContext>;

// A context that a thread keeps must not hold the tables of a thorough level for ever.
constexpr std::size_t kept_context_bytes_max = 24ULL * 1024 * 1024;
constexpr std::uint64_t window_bytes_max = 1ULL << 27U;

void set(ZSTD_CCtx& context, ZSTD_cParameter parameter, int value) {
    if (value != 0) {
        [[maybe_unused]] const auto code = ZSTD_CCtx_setParameter(&context, parameter, value);
        assert(!ZSTD_isError(code));
    }
}

void configure(ZSTD_CCtx& context, const ZstdTuning& tuning) {
    ZSTD_CCtx_reset(&context, ZSTD_reset_session_and_parameters);
    set(context, ZSTD_c_compressionLevel, tuning.level);
    set(context, ZSTD_c_windowLog, tuning.window_log);
    set(context, ZSTD_c_hashLog, tuning.hash_log);
    set(context, ZSTD_c_chainLog, tuning.chain_log);
    set(context, ZSTD_c_minMatch, tuning.min_match);
    set(context, ZSTD_c_strategy, tuning.strategy);
    set(context, ZSTD_c_targetLength, tuning.target_length);
    if (tuning.long_distance) {
        set(context, ZSTD_c_enableLongDistanceMatching, 1);
        set(context, ZSTD_c_ldmHashLog, tuning.ldm_hash_log);
        set(context, ZSTD_c_ldmMinMatch, tuning.ldm_min_match);
        set(context, ZSTD_c_ldmHashRateLog, tuning.ldm_hash_rate_log);
    }
}

std::uint32_t little_endian(ByteSpan bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        value |= std::uint32_t{bytes[i]} << (8 * i);
    }
    return value;
}

/// Of a header of six bytes at least (RFC 8878, 3.1.1.1.2). A frame of a single segment has its
/// content as its window.
std::uint64_t window_of(ByteSpan encoded) {
    if ((encoded[4] & 0x20U) != 0) {
        return ZSTD_getFrameContentSize(encoded.data(), encoded.size());
    }
    const unsigned exponent = encoded[5] >> 3U;
    const unsigned mantissa = encoded[5] & 7U;
    const std::uint64_t base = 1ULL << (10 + exponent);
    return base + base / 8 * mantissa;
}

/// The parts of a frame's header (RFC 8878, 3.1.1.1) that decide whether it is taken. zstd checks
/// the rest; its own header parser is not among the functions that its shared library guarantees.
Result<> check_header(ByteSpan encoded) {
    constexpr std::uint32_t frame_magic = 0xFD2FB528;
    if (encoded.size() < 6 || little_endian(encoded.first(4)) != frame_magic) {
        return fail(Errc::verification_failed, "not a zstd frame");
    }
    const unsigned descriptor = encoded[4];
    if ((descriptor & 3U) != 0) {
        return fail(Errc::verification_failed, "zstd frame asks for a dictionary");
    }
    const auto window = window_of(encoded);
    if ((descriptor & 0x20U) == 0 && window > window_bytes_max) {
        return fail(Errc::verification_failed, "zstd window is too large");
    }
    return {};
}

/// A frame that says to be `raw_bytes` long.
Result<> check_length(ByteSpan encoded, std::uint64_t raw_bytes) {
    if (auto ok = check_header(encoded); !ok) {
        return ok;
    }
    if (ZSTD_getFrameContentSize(encoded.data(), encoded.size()) != raw_bytes) {
        return fail(Errc::verification_failed, "zstd frame has another length than its block");
    }
    return {};
}

/// A frame that is one, exactly `raw_bytes` long, and followed by nothing.
Result<> check_frame(ByteSpan encoded, std::uint64_t raw_bytes) {
    if (auto ok = check_length(encoded, raw_bytes); !ok) {
        return ok;
    }
    if (ZSTD_findFrameCompressedSize(encoded.data(), encoded.size()) != encoded.size()) {
        return fail(Errc::verification_failed, "zstd frame is truncated or something follows it");
    }
    return {};
}

tl::unexpected<Error> bad_frame(std::size_t code) {
    return fail(Errc::verification_failed, std::string("zstd frame: ") + ZSTD_getErrorName(code));
}

ZSTD_DCtx& kept_decompressor() {
    thread_local Decompressor kept;
    if (!kept) {
        kept.reset(ZSTD_createDCtx());
    }
    if (!kept) {
        throw std::bad_alloc();
    }
    ZSTD_DCtx_reset(kept.get(), ZSTD_reset_session_and_parameters);
    return *kept;
}

} // namespace

std::optional<Bytes> zstd_encode(ByteSpan raw, ByteSpan base, const ZstdTuning& tuning,
                                 std::size_t bytes_max) {
    thread_local Compressor kept;
    if (!kept) {
        kept.reset(ZSTD_createCCtx());
    }
    if (!kept) {
        throw std::bad_alloc();
    }
    configure(*kept, tuning);
    if (!base.empty()) {
        ZSTD_CCtx_refPrefix(kept.get(), base.data(), base.size());
    }
    Scratch scratch(std::min(bytes_max, ZSTD_compressBound(raw.size())));
    const auto size = ZSTD_compress2(kept.get(), scratch.bytes().data(), scratch.bytes().size(),
                                     raw.data(), raw.size());
    if (ZSTD_sizeof_CCtx(kept.get()) > kept_context_bytes_max) {
        kept.reset();
    }
    if (!ZSTD_isError(size)) {
        return scratch.take(size);
    }
    const auto error = ZSTD_getErrorCode(size);
    if (error == ZSTD_error_memory_allocation) {
        throw std::bad_alloc();
    }
    assert(error == ZSTD_error_dstSize_tooSmall);
    return std::nullopt;
}

Result<> zstd_decode(ByteSpan encoded, ByteSpan base, std::span<std::uint8_t> out) {
    if (auto whole = check_frame(encoded, out.size()); !whole) {
        return whole;
    }
    auto& context = kept_decompressor();
    if (!base.empty()) {
        ZSTD_DCtx_refPrefix(&context, base.data(), base.size());
    }
    const auto size =
        ZSTD_decompressDCtx(&context, out.data(), out.size(), encoded.data(), encoded.size());
    if (ZSTD_isError(size)) {
        return bad_frame(size);
    }
    if (size != out.size()) {
        return fail(Errc::verification_failed, "zstd frame is shorter than its block");
    }
    return {};
}

std::optional<std::uint64_t> zstd_window_bytes(ByteSpan encoded) {
    return check_header(encoded) ? std::optional(window_of(encoded)) : std::nullopt;
}

Result<> zstd_decode_in_pieces(ByteSpan encoded, std::uint64_t raw_bytes,
                               std::uint64_t frame_window_bytes_max,
                               const std::function<Result<>(ByteSpan)>& take) {
    constexpr std::size_t piece_bytes = 1024ULL * 1024;
    // Not check_frame(): it would read all of a mapped frame into memory before the first piece.
    if (auto said = check_length(encoded, raw_bytes); !said) {
        return said;
    }
    if (window_of(encoded) > frame_window_bytes_max) {
        return fail(Errc::verification_failed, "zstd window is too large to decode in pieces");
    }
    auto& context = kept_decompressor();
    Scratch piece(piece_bytes);
    ZSTD_inBuffer in{encoded.data(), encoded.size(), 0};
    std::uint64_t given = 0;
    for (std::size_t left = 1; left != 0;) {
        ZSTD_outBuffer out{piece.bytes().data(), piece_bytes, 0};
        left = ZSTD_decompressStream(&context, &out, &in);
        if (ZSTD_isError(left)) {
            return bad_frame(left);
        }
        given += out.pos;
        if (given > raw_bytes || (left != 0 && out.pos == 0 && in.pos == in.size)) {
            return fail(Errc::verification_failed, "zstd frame has another length than its block");
        }
        if (auto taken = take(ByteSpan(piece.bytes()).first(out.pos)); !taken) {
            return taken;
        }
    }
    if (given != raw_bytes || in.pos != in.size) {
        return fail(Errc::verification_failed,
                    "zstd frame is shorter than its block or something follows it");
    }
    return {};
}

} // namespace slipway
