#include "common/delta/zstd_stream.h"

#include <algorithm>
#include <cstring>
#include <new>

#include <zstd.h>

#include "common/core/errc.h"

namespace slipway {
namespace {

constexpr std::size_t buffer_bytes = 64ULL * 1024;

} // namespace

void ZstdStream::Free::operator()(ZSTD_DCtx_s* context) const {
    ZSTD_freeDCtx(context);
}

ZstdStream::ZstdStream(ByteSpan frame, int window_log, std::string what)
    : frame_(frame), ended_(frame.empty()), what_(std::move(what)) {
    if (!ended_) {
        context_.reset(ZSTD_createDCtx());
        if (!context_) {
            throw std::bad_alloc();
        }
        ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, window_log);
        buffer_.resize(buffer_bytes);
    }
}

ZstdStream::~ZstdStream() = default;
ZstdStream::ZstdStream(ZstdStream&&) noexcept = default;

tl::unexpected<Error> ZstdStream::malformed(const char* why) const {
    return fail(Errc::verification_failed, what_ + ": " + why);
}

/// Afterwards either a byte is buffered or the stream is at its end.
Result<> ZstdStream::refill() {
    begin_ = end_ = 0;
    while (end_ == 0 && !ended_) {
        ZSTD_inBuffer in{frame_.data(), frame_.size(), consumed_};
        ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
        const auto left = ZSTD_decompressStream(context_.get(), &out, &in);
        if (ZSTD_isError(left)) {
            return malformed(ZSTD_getErrorName(left));
        }
        if (left != 0 && out.pos == 0 && in.pos == consumed_) {
            return malformed("truncated");
        }
        consumed_ = in.pos;
        end_ = out.pos;
        ended_ = left == 0;
        if (ended_ && consumed_ != frame_.size()) {
            return malformed("something follows the frame");
        }
    }
    return {};
}

Result<> ZstdStream::read(std::span<std::uint8_t> out) {
    while (!out.empty()) {
        if (begin_ == end_) {
            if (auto ok = refill(); !ok) {
                return ok;
            }
            if (begin_ == end_) {
                return malformed("ends early");
            }
        }
        const auto count = std::min(out.size(), end_ - begin_);
        std::memcpy(out.data(), buffer_.data() + begin_, count);
        begin_ += count;
        out = out.subspan(count);
    }
    return {};
}

Result<std::uint64_t> ZstdStream::varint(std::uint64_t max) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        std::uint8_t byte = 0;
        if (begin_ < end_) {
            byte = buffer_[begin_++];
        } else if (auto ok = read({&byte, 1}); !ok) {
            return tl::unexpected(std::move(ok.error()));
        }
        value |= std::uint64_t{byte & 0x7FU} << shift;
        if ((byte & 0x80U) == 0) {
            if (value > max || (byte == 0 && shift > 0) || (shift == 63 && byte > 1)) {
                return malformed("number out of range");
            }
            return value;
        }
    }
    return malformed("number out of range");
}

Result<bool> ZstdStream::at_end() {
    if (begin_ == end_) {
        if (auto ok = refill(); !ok) {
            return tl::unexpected(std::move(ok.error()));
        }
    }
    return begin_ == end_;
}

} // namespace slipway
