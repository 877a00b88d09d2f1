#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/result.h"

struct ZSTD_DCtx_s;

namespace slipway {

/// Reads one zstd frame of untrusted origin piece by piece; no bytes at all are an empty stream.
/// Memory: the window (2^window_log bytes at most) and 64 KiB. Errors: Errc::verification_failed,
/// naming `what`.
class ZstdStream {
public:
    ZstdStream(ByteSpan frame, int window_log, std::string what);
    ~ZstdStream();
    ZstdStream(ZstdStream&&) noexcept;
    ZstdStream& operator=(ZstdStream&&) noexcept = delete;
    ZstdStream(const ZstdStream&) = delete;
    ZstdStream& operator=(const ZstdStream&) = delete;

    /// Exactly `out.size()` bytes.
    [[nodiscard]] Result<> read(std::span<std::uint8_t> out);
    /// A LEB128 varint not above `max`, in its shortest form.
    [[nodiscard]] Result<std::uint64_t> varint(std::uint64_t max);
    /// True when the stream is used up; then the frame was whole and nothing followed it.
    [[nodiscard]] Result<bool> at_end();

private:
    [[nodiscard]] Result<> refill();
    [[nodiscard]] tl::unexpected<Error> malformed(const char* why) const;

    struct Free {
        void operator()(ZSTD_DCtx_s* context) const;
    };
    std::unique_ptr<ZSTD_DCtx_s, Free> context_;
    ByteSpan frame_;
    std::size_t consumed_ = 0;
    bool ended_ = false; ///< The frame's last byte was decoded.
    Bytes buffer_;
    std::size_t begin_ = 0; ///< Unread part of `buffer_`.
    std::size_t end_ = 0;
    std::string what_;
};

} // namespace slipway
