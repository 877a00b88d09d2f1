#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/core/result.h"
#include "common/core/sha256.h"

namespace slipway::seeder {

enum class PushKind { pack, target, metadata };

/// A file that a publisher may send: what it is says its path in the repository.
struct PushObject {
    PushKind kind = PushKind::pack;
    std::string path; ///< "packs/<root>", "targets/…/<sha256>.packmap", "metadata/3.targets.json".
    /// Pieces root of a pack, SHA-256 of a target; unused for metadata, which signatures vouch for.
    Sha256Digest digest;
};

/// The file that "/v1/push/…" names, or nothing: only packs by their root, targets by their digest
/// and versioned metadata can be sent.
[[nodiscard]] std::optional<PushObject> push_object(std::string_view http_path);

/// How long such a file may be.
[[nodiscard]] std::uint64_t push_bytes_max(PushKind kind);

/// Part of a file that a request carries; `Content-Range: bytes 0-99/1000` (RFC 9110, 14.4).
struct PushRange {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0; ///< Above 0, at most push_request_bytes_max.
    std::uint64_t total = 0;
};
constexpr std::uint64_t push_request_bytes_max = 64ULL * 1024 * 1024;
[[nodiscard]] std::optional<PushRange> push_range(std::string_view header);

/// Whether a part may be appended to what is there. Error: Errc::failed, with where to go on, or
/// why the file is not taken at all.
[[nodiscard]] Result<> check_push(const PushObject& object, const PushRange& range,
                                  std::uint64_t bytes_there);

} // namespace slipway::seeder
