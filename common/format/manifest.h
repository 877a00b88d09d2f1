#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/core/bytes.h"
#include "common/core/names.h"
#include "common/core/sha256.h"
#include "common/format/run_spec.h"

namespace slipway {

inline constexpr std::size_t manifest_bytes_max = std::size_t{64} * 1024;
inline constexpr std::size_t labels_max = 32;
inline constexpr std::size_t label_value_bytes_max = 1024;

/// A systemd unit's name with its suffix, for example `web@.service`: up to 255 bytes of
/// [A-Za-z0-9:_.@-]. Error: Errc::usage.
[[nodiscard]] Result<std::string> parse_unit_name(std::string_view text);
/// `KEY=VALUE`: the key up to 64 bytes of [a-z0-9][a-z0-9._-]*, the value UTF-8 without control
/// characters. Error: Errc::usage.
[[nodiscard]] Result<std::pair<std::string, std::string>> parse_label(std::string_view text);

/// What an artifact is; never changes. Its SHA-256 is the artifact's digest.
struct Manifest {
    ArtifactId id;
    ArtifactKind kind = ArtifactKind::code;
    Sha256Digest index; ///< Digest of the file index.
    std::uint64_t index_bytes = 0;
    std::uint64_t entries = 0;
    std::uint64_t files = 0;
    std::uint64_t tree_bytes = 0;
    std::string unit;           ///< systemd unit that runs it; empty if there is none, or a `run`.
    std::optional<RunSpec> run; ///< How it runs, if the publisher said more than a unit.
    /// Provenance as the publisher gave it: "revision" -> "1f3c".
    std::map<std::string, std::string> labels;
    bool operator==(const Manifest&) const = default;
};

/// How the artifact runs: its `run`, or its unit restarted, or nothing to do.
[[nodiscard]] RunSpec run_spec_of(const Manifest& manifest);

/// Canonical JSON (common/trust/canonical_json.h): equal manifests are equal bytes.
[[nodiscard]] std::string encode_manifest(const Manifest& manifest);
/// Refuses unknown keys, other versions, values over their limits and text that is not canonical.
[[nodiscard]] Result<Manifest> decode_manifest(ByteSpan json, std::string_view what);

} // namespace slipway
