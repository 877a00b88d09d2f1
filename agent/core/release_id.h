#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "common/core/names.h"
#include "common/core/sha256.h"

namespace slipway::agent {

/// What an installed release is called on its host: "<version>-<12 hex digits of the manifest's
/// digest>". A directory name; two artifacts of one version never share one.
struct ReleaseId {
    std::string text;
    auto operator<=>(const ReleaseId&) const = default;

    [[nodiscard]] static ReleaseId of(const ArtifactId& artifact, const Sha256Digest& manifest);
    /// Error: Errc::usage. What parses is safe as a path component.
    [[nodiscard]] static Result<ReleaseId> parse(std::string_view text);
};

} // namespace slipway::agent
