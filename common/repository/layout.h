#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "common/core/names.h"
#include "common/format/pack.h"

namespace slipway {

/// Paths below a repository, in a directory or behind a URL:
///
///     metadata/timestamp.json, N.snapshot.json, N.targets.json, N.root.json     TUF
///     targets/NAME/VERSION/<sha256>.manifest.json                               what it is
///     targets/NAME/VERSION/<sha256>.packmap                                     where chunks are
///     packs/<pieces root>                                                       encodings
///     packs/<pieces root>.torrent                                               metainfo
///     tmp/                                                                      of a publisher
///     .lock                                                                     of a publisher
namespace layout {
[[nodiscard]] std::string manifest_target(const ArtifactId& id); ///< "NAME/VERSION/manifest.json"
[[nodiscard]] std::string pack_map_target(const ArtifactId& id); ///< "NAME/VERSION/packmap"
[[nodiscard]] std::string pack_path(const PackId& pack);         ///< "packs/<root>"
[[nodiscard]] std::string metainfo_path(const PackId& pack);     ///< "packs/<root>.torrent"
/// The artifact whose manifest the target is; nothing for other targets.
[[nodiscard]] std::optional<ArtifactId> artifact_of_manifest_target(std::string_view target);
/// Keys of the repository at `directory`: "<directory>.keys".
[[nodiscard]] std::filesystem::path default_keys(const std::filesystem::path& directory);
} // namespace layout

/// `custom` of a manifest's TUF target: {"kind":"code","sequence":7,"published":"2026-…Z"}.
/// Sequence orders the versions of one name by the time they were published.
struct TargetCustom {
    ArtifactKind kind = ArtifactKind::code;
    std::uint64_t sequence = 0;
    std::string published; ///< RFC 3339, UTC.
};
[[nodiscard]] std::string encode_custom(const TargetCustom& custom);
[[nodiscard]] Result<TargetCustom> decode_custom(std::string_view json);

} // namespace slipway
