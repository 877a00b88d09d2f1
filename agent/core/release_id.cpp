#include "agent/core/release_id.h"

#include "common/core/errc.h"

namespace slipway::agent {
namespace {

constexpr std::size_t digest_digits = 12;

} // namespace

ReleaseId ReleaseId::of(const ArtifactId& artifact, const Sha256Digest& manifest) {
    return {artifact.version + "-" + manifest.hex().substr(0, digest_digits)};
}

Result<ReleaseId> ReleaseId::parse(std::string_view text) {
    const auto dash = text.rfind('-');
    const bool good =
        dash != std::string_view::npos && text.size() - dash - 1 == digest_digits &&
        text.find_first_not_of("0123456789abcdef", dash + 1) == std::string_view::npos &&
        parse_version(text.substr(0, dash));
    if (!good) {
        return fail(Errc::usage, "'" + std::string(text.substr(0, 200)) +
                                     "' is not a release: VERSION-<12 hexadecimal digits>");
    }
    return ReleaseId{std::string(text)};
}

} // namespace slipway::agent
