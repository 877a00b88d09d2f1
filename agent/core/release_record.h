#pragma once

#include <cstdint>
#include <string>

#include "agent/core/release_id.h"

namespace slipway::agent {

/// What a host notes about an installed release, beside its manifest, index and pack map.
struct ReleaseRecord {
    ArtifactId artifact;
    Sha256Digest digest;      ///< Of the manifest.
    std::string installed_at; ///< RFC 3339, UTC.
    std::uint64_t entries = 0;
    std::uint64_t tree_bytes = 0;
    bool operator==(const ReleaseRecord&) const = default;
    [[nodiscard]] ReleaseId id() const { return ReleaseId::of(artifact, digest); }
};

inline constexpr std::size_t release_record_bytes_max = std::size_t{16} * 1024;
[[nodiscard]] std::string encode_release_record(const ReleaseRecord& record);
[[nodiscard]] Result<ReleaseRecord> decode_release_record(ByteSpan json, std::string_view what);

} // namespace slipway::agent
