#include "common/repository/layout.h"

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/trust/canonical_json.h"

namespace slipway {
namespace layout {

std::string manifest_target(const ArtifactId& id) {
    return id.name + "/" + id.version + "/manifest.json";
}

std::string pack_map_target(const ArtifactId& id) {
    return id.name + "/" + id.version + "/packmap";
}

std::string pack_path(const PackId& pack) {
    return "packs/" + pack.name();
}

std::string metainfo_path(const PackId& pack) {
    return pack_path(pack) + ".torrent";
}

std::optional<ArtifactId> artifact_of_manifest_target(std::string_view target) {
    constexpr std::string_view suffix = "/manifest.json";
    if (!target.ends_with(suffix)) {
        return std::nullopt;
    }
    target.remove_suffix(suffix.size());
    const auto slash = target.rfind('/');
    if (slash == std::string_view::npos) {
        return std::nullopt;
    }
    const auto name = parse_artifact_name(target.substr(0, slash));
    const auto version = parse_version(target.substr(slash + 1));
    return name && version ? std::optional(ArtifactId{*name, *version}) : std::nullopt;
}

std::filesystem::path default_keys(const std::filesystem::path& directory) {
    auto path = std::filesystem::absolute(directory).lexically_normal();
    if (!path.has_filename()) {
        path = path.parent_path(); // "repo/" means "repo".
    }
    return path.string() + ".keys";
}

} // namespace layout

std::string encode_custom(const TargetCustom& custom) {
    return canonical_json(nlohmann::json{{"kind", to_string(custom.kind)},
                                         {"published", custom.published},
                                         {"sequence", custom.sequence}});
}

Result<TargetCustom> decode_custom(std::string_view text) {
    constexpr std::size_t custom_bytes_max = 4096;
    constexpr std::string_view what = "custom of a target";
    return parse_json(as_bytes(text), custom_bytes_max, what)
        .and_then([&](const nlohmann::json& json) -> Result<TargetCustom> {
            const auto member = [&](const char* key) {
                return json.is_object() && json.contains(key) ? json[key] : nlohmann::json();
            };
            const auto kind = member("kind");
            const auto sequence = member("sequence");
            const auto published = member("published");
            if (!kind.is_string() || !sequence.is_number_unsigned() || !published.is_string() ||
                !parse_artifact_kind(kind.get<std::string>())) {
                return fail(Errc::verification_failed,
                            std::string(what) + ": kind, sequence or published is malformed");
            }
            return TargetCustom{*parse_artifact_kind(kind.get<std::string>()),
                                sequence.get<std::uint64_t>(), published.get<std::string>()};
        });
}

} // namespace slipway
