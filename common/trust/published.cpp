#include "common/trust/published.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/core/errc.h"
#include "common/io/file_ops.h"

namespace slipway::trust {
namespace fs = std::filesystem;
namespace {

struct RootFile {
    Root root;
    Bytes bytes;
};

bool is_missing(const Error& error) {
    return error.code == std::errc::no_such_file_or_directory;
}

/// The root to begin with: the one that the holder keeps, which the repository must have too.
Result<RootFile> first_root(const fs::path& metadata, const KeyDirectory& keys) {
    const auto kept_path = keys.path() / "root.json";
    const auto kept = keys.path().empty() ? Result<Bytes>(fail(Errc::not_found, "no keys"))
                                          : read_file(kept_path, limits::root_bytes);
    if (!keys.path().empty() && !kept && !is_missing(kept.error())) {
        return tl::unexpected(kept.error());
    }
    const auto known = kept ? accept_first_root(*kept, kept_path.string()) : Result<Root>(Root{});
    if (!known) {
        return tl::unexpected(known.error());
    }
    const auto path = metadata / versioned_name("root", kept ? known->header.version : 1);
    const auto bytes = read_file(path, limits::root_bytes);
    if (!bytes) {
        return is_missing(bytes.error())
                   ? fail(Errc::not_found, "read the repository: " + path.string())
                   : tl::unexpected(within("read the repository", bytes.error()));
    }
    if (kept && *kept != *bytes) {
        return fail(Errc::verification_failed,
                    path.string() + ": is not the root that these keys belong to (" +
                        kept_path.string() +
                        "); this is another repository, or someone changed it");
    }
    return accept_first_root(*bytes, path.string()).map([&](Root root) {
        return RootFile{std::move(root), *bytes};
    });
}

Result<RootFile> latest_root(const fs::path& metadata, const KeyDirectory& keys) {
    auto latest = first_root(metadata, keys);
    while (latest) {
        const auto path = metadata / versioned_name("root", latest->root.header.version + 1);
        auto bytes = read_file(path, limits::root_bytes);
        if (!bytes && is_missing(bytes.error())) {
            break;
        }
        if (!bytes) {
            return tl::unexpected(bytes.error());
        }
        auto next = accept_next_root(latest->root, *bytes, path.string());
        if (!next) {
            return tl::unexpected(next.error());
        }
        latest = RootFile{std::move(*next), std::move(*bytes)};
    }
    return latest;
}

/// What `accept` makes of a file, and the file for changing and signing anew.
template <typename T, typename Accept>
Result<T> read_role(const fs::path& path, std::uint64_t bytes_max, PublishedRole& out,
                    Accept accept) {
    const auto bytes = read_file(path, bytes_max);
    if (!bytes) {
        return tl::unexpected(within("read the repository", bytes.error()));
    }
    Result<T> accepted = accept(*bytes, path.string());
    auto envelope = parse_envelope(*bytes, bytes_max, path.string());
    if (!accepted || !envelope) {
        return accepted ? tl::unexpected(envelope.error()) : tl::unexpected(accepted.error());
    }
    out = {std::move(*envelope), accepted->header};
    return accepted;
}

Result<Timestamp> read_timestamp(const fs::path& path, Published& out) {
    return read_role<Timestamp>(path, limits::timestamp_bytes, out.timestamp,
                                [&](ByteSpan file, const std::string& what) {
                                    return accept_timestamp(out.root, file, what);
                                });
}

Result<> read_delegated(const fs::path& metadata, const Snapshot& snapshot, Published& out) {
    for (const auto& delegation : out.top.delegations) {
        const auto listed = snapshot.meta.find(delegation.name + ".json");
        if (listed == snapshot.meta.end()) {
            return fail(Errc::verification_failed,
                        "role " + delegation.name + ": the snapshot does not list it");
        }
        const auto read = read_role<Targets>(
            metadata / versioned_name(delegation.name, listed->second.version),
            limits::targets_bytes, out.delegated[delegation.name],
            [&](ByteSpan file, const std::string& what) {
                return accept_targets(authority_of(out.top, delegation), listed->second, file, what,
                                      delegation.name);
            });
        if (!read) {
            return tl::unexpected(read.error());
        }
    }
    return {};
}

Result<> read_roles(const fs::path& metadata, const fs::path& timestamp_path, Published& out) {
    out.delegated.clear();
    const auto timestamp = read_timestamp(timestamp_path, out);
    if (!timestamp) {
        return tl::unexpected(timestamp.error());
    }
    const auto snapshot = read_role<Snapshot>(
        metadata / versioned_name("snapshot", timestamp->snapshot.version), limits::snapshot_bytes,
        out.snapshot, [&](ByteSpan file, const std::string& what) {
            return accept_snapshot(out.root, timestamp->snapshot, file, what);
        });
    if (!snapshot) {
        return tl::unexpected(snapshot.error());
    }
    const auto& listed = snapshot->meta.at("targets.json");
    auto targets = read_role<Targets>(
        metadata / versioned_name("targets", listed.version), limits::targets_bytes, out.targets,
        [&](ByteSpan file, const std::string& what) {
            return accept_targets(authority_of(out.root, "targets"), listed, file, what, "targets");
        });
    if (!targets) {
        return tl::unexpected(targets.error());
    }
    out.top = std::move(*targets);
    return read_delegated(metadata, *snapshot, out);
}

/// All roles; and if they do not fit the root, those that lie ready: then a change of keys was
/// killed between its root and its timestamp.
Result<> read_or_finish(const fs::path& repository, Published& out) {
    const auto metadata = repository / "metadata";
    const auto current = metadata / "timestamp.json";
    auto read = read_roles(metadata, current, out);
    const auto ready = staged_directory(repository) / "timestamp.json";
    if (read || !read_roles(metadata, ready, out)) {
        return read;
    }
    std::error_code error;
    fs::rename(ready, current, error);
    return error ? fail(error, "rename " + ready.string() + " to " + current.string())
                 : fsync_directory(metadata);
}

} // namespace

fs::path staged_directory(const fs::path& repository) {
    return repository / "staged";
}

std::string versioned_name(const std::string& role, std::uint64_t version) {
    return std::to_string(version) + "." + escape_role_name(role) + ".json";
}

const PublishedRole* Published::find(const std::string& role) const {
    if (role == "root") {
        return &root_file;
    }
    if (role == "targets") {
        return &targets;
    }
    if (role == "snapshot") {
        return &snapshot;
    }
    if (role == "timestamp") {
        return &timestamp;
    }
    const auto found = delegated.find(role);
    return found == delegated.end() ? nullptr : &found->second;
}

std::uint64_t Published::listed_version(const std::string& role) const {
    const auto& meta = snapshot.file.body.at("meta");
    const auto found = meta.find(role + ".json");
    return found == meta.end() ? 0 : found->at("version").get<std::uint64_t>();
}

const Delegation* find_delegation(const Targets& targets, const std::string& role) {
    const auto found = std::find_if(targets.delegations.begin(), targets.delegations.end(),
                                    [&](const Delegation& one) { return one.name == role; });
    return found == targets.delegations.end() ? nullptr : &*found;
}

bool meets(const Authority& authority, const Envelope& file) {
    return verify_threshold(file, *authority.keys, *authority.role, "", "").has_value();
}

std::vector<std::string> signers(const Authority& authority, const Envelope& file) {
    std::vector<std::string> out;
    for (const auto& id : authority.role->key_ids) {
        const RoleKeys only{{id}, 1};
        if (meets({authority.keys, &only}, file)) {
            out.push_back(id);
        }
    }
    return out;
}

Result<Published> read_published(const fs::path& repository, const KeyDirectory& keys) {
    auto latest = latest_root(repository / "metadata", keys);
    if (!latest) {
        return tl::unexpected(latest.error());
    }
    Published out;
    auto envelope = parse_envelope(latest->bytes, limits::root_bytes, "the root");
    if (!envelope) {
        return tl::unexpected(envelope.error());
    }
    out.root = std::move(latest->root);
    out.root_file = {std::move(*envelope), out.root.header};
    if (auto read = read_or_finish(repository, out); !read) {
        return tl::unexpected(read.error());
    }
    // Keys may lie on a medium that cannot be written. Then the chain is verified again from where
    // it was.
    if (keys.path().empty()) {
        return out;
    }
    const auto kept = read_file(keys.path() / "root.json", limits::root_bytes);
    if (!kept || *kept != latest->bytes) {
        (void)replace_file(keys.path() / "root.json", latest->bytes, 0600);
    }
    return out;
}

} // namespace slipway::trust
