#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/core/bytes.h"

namespace slipway {

/// A small fingerprint of content for finding the older self of a renamed file: the smallest
/// hashes of its content-defined pieces of about 2 KiB.
struct Sketch {
    std::vector<std::uint64_t> features; ///< Sorted, at most 64.
};
[[nodiscard]] Sketch sketch_of(ByteSpan content);
/// Estimated share of common content, 0 to 1.
[[nodiscard]] double likeness(const Sketch& left, const Sketch& right);

/// A path with what looks like a content hash taken out, so that `js/main.3f2a9c.js` and
/// `js/main.b81e77.js` give one stem.
[[nodiscard]] std::string path_stem(std::string_view path);

} // namespace slipway
