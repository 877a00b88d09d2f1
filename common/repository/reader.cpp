#include "common/repository/reader.h"

#include <algorithm>
#include <tuple>

#include "common/core/errc.h"
#include "common/io/file_ops.h"

namespace slipway {
namespace {

/// A target's file, checked against the signed length and digest.
Result<Bytes> fetch_target(RepositoryFiles& source, const trust::Target& target,
                           std::uint64_t bytes_max) {
    const auto path = "targets/" + trust::consistent_target_path(target);
    if (target.bytes > bytes_max) {
        return fail(Errc::verification_failed,
                    path + " is listed with " + std::to_string(target.bytes) +
                        " bytes, the limit is " + std::to_string(bytes_max));
    }
    return source.fetch(path, target.bytes).and_then([&](Bytes bytes) -> Result<Bytes> {
        if (bytes.size() != target.bytes || sha256(bytes) != target.sha256) {
            return fail(Errc::verification_failed,
                        source.location() + "/" + path +
                            " does not have the length and digest that its signed metadata lists");
        }
        return bytes;
    });
}

Result<trust::Target> find_of(trust::Client& trusted, const std::string& path,
                              const ArtifactId& id) {
    return trusted.find(path).map_error([&](const Error& error) {
        return error.code == Errc::not_found
                   ? Error{Errc::not_found,
                           id.text() + ": no role that may sign for this name lists it"}
                   : error;
    });
}

} // namespace

Result<Bytes> RepositoryFiles::fetch_metadata(const std::string& path, std::uint64_t max_bytes) {
    return fetch("metadata/" + path, max_bytes);
}

Result<Bytes> RepositoryDirectory::fetch(const std::string& path, std::uint64_t max_bytes) {
    return read_file(directory_ + "/" + path, max_bytes).map_error([](Error error) {
        return error.code == std::errc::no_such_file_or_directory
                   ? Error{Errc::not_found, std::move(error.context)}
                   : error;
    });
}

Result<std::vector<ArtifactListing>> list_artifacts(trust::Client& trusted) {
    const auto targets = trusted.all();
    if (!targets) {
        return tl::unexpected(targets.error());
    }
    std::vector<ArtifactListing> listings;
    for (const auto& target : *targets) {
        const auto id = layout::artifact_of_manifest_target(target.path);
        if (!id) {
            continue;
        }
        auto custom = decode_custom(target.custom);
        if (!custom) {
            return tl::unexpected(within(target.path, custom.error()));
        }
        listings.push_back({*id, std::move(*custom), target.sha256});
    }
    std::ranges::sort(listings, [](const ArtifactListing& left, const ArtifactListing& right) {
        return std::tie(left.id.name, left.custom.sequence, left.id.version) <
               std::tie(right.id.name, right.custom.sequence, right.id.version);
    });
    return listings;
}

Result<ArtifactMetadata> load_artifact(trust::Client& trusted, RepositoryFiles& source,
                                       const ArtifactId& id) {
    const auto target = find_of(trusted, layout::manifest_target(id), id);
    const auto map_target = find_of(trusted, layout::pack_map_target(id), id);
    if (!target || !map_target) {
        return tl::unexpected(target ? map_target.error() : target.error());
    }
    const auto manifest_bytes = fetch_target(source, *target, manifest_bytes_max);
    if (!manifest_bytes) {
        return tl::unexpected(manifest_bytes.error());
    }
    const auto map_bytes = fetch_target(source, *map_target, pack_map_bytes_max);
    if (!map_bytes) {
        return tl::unexpected(map_bytes.error());
    }
    auto manifest = decode_manifest(*manifest_bytes, "manifest of " + id.text());
    if (!manifest) {
        return tl::unexpected(manifest.error());
    }
    auto map = decode_pack_map(*map_bytes, "pack map of " + id.text());
    if (!map) {
        return tl::unexpected(map.error());
    }
    if (manifest->id != id || map->manifest != target->sha256) {
        return fail(Errc::verification_failed,
                    "manifest or pack map of " + id.text() + " is that of another artifact");
    }
    return ArtifactMetadata{std::move(*manifest), target->sha256, std::move(*map)};
}

} // namespace slipway
