#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "common/core/result.h"

namespace slipway {

/// What an artifact is called in a repository: `NAME@VERSION`.
///
/// NAME: up to 128 bytes, parts of [a-z0-9][a-z0-9._-]* joined by '/', for example `web/frontend`.
/// VERSION: up to 64 bytes of [A-Za-z0-9][A-Za-z0-9._+~-]*. No part contains "..".
/// Both are safe as path components, in URLs and on a terminal.
struct ArtifactId {
    std::string name;
    std::string version;
    auto operator<=>(const ArtifactId&) const = default;

    [[nodiscard]] std::string text() const { return name + "@" + version; }
    /// Error: Errc::usage, with the rule that `text` broke.
    [[nodiscard]] static Result<ArtifactId> parse(std::string_view text);
};

[[nodiscard]] Result<std::string> parse_artifact_name(std::string_view text);
[[nodiscard]] Result<std::string> parse_version(std::string_view text);

/// A service's name is a directory name on hosts: up to 64 bytes of [a-z0-9][a-z0-9._-]*.
[[nodiscard]] Result<std::string> parse_service_name(std::string_view text);

enum class ArtifactKind { code, config };
[[nodiscard]] std::string_view to_string(ArtifactKind kind);
[[nodiscard]] Result<ArtifactKind> parse_artifact_kind(std::string_view text);

} // namespace slipway
