#include "common/repository/reader.h"

#include <algorithm>
#include <tuple>

#include <fcntl.h>

#include "common/core/errc.h"
#include "common/format/index.h"
#include "common/io/file_ops.h"

namespace slipway {
namespace {

bool is_url(std::string_view location) {
    return location.starts_with("http://") || location.starts_with("https://") ||
           location.starts_with("file://");
}

/// A target's file, checked against the signed length and digest.
Result<Bytes> fetch_target(RepositorySource& source, const trust::Target& target,
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

RepositorySource::RepositorySource(std::string location, std::shared_ptr<HttpTls> tls)
    : location_(std::move(location)), is_directory_(!is_url(location_)), http_(std::move(tls)) {
    while (location_.size() > 1 && location_.ends_with('/')) {
        location_.pop_back();
    }
}

namespace {

Error missing_is_not_found(Error error) {
    return error.code == std::errc::no_such_file_or_directory
               ? Error{Errc::not_found, std::move(error.context)}
               : error;
}

} // namespace

Result<Bytes> RepositorySource::fetch(const std::string& path, std::uint64_t max_bytes) {
    const auto whole = location_ + "/" + path;
    if (!is_directory_) {
        HttpLimits limits;
        limits.body_bytes_max = max_bytes;
        return http_.get(whole, limits);
    }
    return read_file(whole, max_bytes).map_error(missing_is_not_found);
}

Result<Bytes> RepositorySource::fetch_range(const std::string& path, std::uint64_t offset,
                                            std::uint64_t bytes) {
    // A block of one chunk and, for incompressible ones, its frame: more is not asked for.
    constexpr std::uint64_t range_bytes_max = chunk_bytes_max + 1024ULL * 1024;
    const auto whole = location_ + "/" + path;
    if (bytes == 0 || bytes > range_bytes_max) {
        return fail(Errc::verification_failed,
                    whole + ": a range of " + std::to_string(bytes) + " bytes");
    }
    if (!is_directory_) {
        HttpLimits limits;
        limits.body_bytes_max = bytes;
        return http_.get_range(whole, offset, bytes, limits);
    }
    return open_file(whole, O_RDONLY)
        .map_error(missing_is_not_found)
        .and_then([&](const Fd& fd) -> Result<Bytes> {
            Bytes out(bytes);
            return pread_all(fd.get(), out, offset, whole).map([&] { return std::move(out); });
        });
}

Result<Bytes> RepositorySource::fetch_metadata(const std::string& path, std::uint64_t max_bytes) {
    return fetch("metadata/" + path, max_bytes);
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

Result<ArtifactMetadata> load_artifact(trust::Client& trusted, RepositorySource& source,
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
