#pragma once

#include <span>

#include "common/core/bytes.h"
#include "common/core/result.h"

namespace slipway {

/// The codec "sdiff-1" (docs/format-sdiff.md): runs of the base with sparse differences, and the
/// addresses in x86-64 programs moved along with what they point to.

/// True for programs whose addresses the codec can follow (x86-64 ELF files).
[[nodiscard]] bool sdiff_knows(ByteSpan file);

/// Always succeeds; may be longer than `raw`. Neither span is empty, both are below 2 GiB. Memory:
/// about 1.5 times `raw` and `base` together, plus up to 256 MiB. Pure and thread-safe.
[[nodiscard]] Bytes sdiff_encode(ByteSpan raw, ByteSpan base);

/// Error: Errc::verification_failed. Memory: a quarter of `base`, 32 MiB, and 16 bytes for each run
/// (as much as `out` for a hostile patch, a few hundredths of it for an honest one).
[[nodiscard]] Result<> sdiff_decode(ByteSpan encoded, ByteSpan base, std::span<std::uint8_t> out);

} // namespace slipway
