#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/core/bytes.h"
#include "common/core/names.h"
#include "common/core/sha256.h"

namespace slipway {

inline constexpr std::size_t manifest_bytes_max = 64 * 1024;

/// What an artifact is; never changes. Its SHA-256 is the artifact's digest.
struct Manifest {
    ArtifactId id;
    ArtifactKind kind = ArtifactKind::code;
    Sha256Digest index; ///< Digest of the file index.
    std::uint64_t index_bytes = 0;
    std::uint64_t entries = 0;
    std::uint64_t files = 0;
    std::uint64_t tree_bytes = 0;
    std::string unit; ///< systemd unit that runs it, or empty.
    std::map<std::string, std::string>
        labels; ///< Provenance as the publisher gave it: "revision" -> "1f3c".
    bool operator==(const Manifest&) const = default;
};

/// Canonical JSON (common/trust/canonical_json.h): equal manifests are equal bytes.
[[nodiscard]] std::string encode_manifest(const Manifest& manifest);
/// Refuses unknown keys, other versions, values over their limits and text that is not canonical.
[[nodiscard]] Result<Manifest> decode_manifest(ByteSpan json, std::string_view what);

} // namespace slipway
