#include "common/trust/signer.h"

#include <algorithm>
#include <map>
#include <utility>

#include <sys/stat.h>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/trust/canonical_json.h"
#include "common/trust/utc_time.h"
#include "common/trust/workflow.h"

namespace slipway::trust {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;
using std::chrono::sys_seconds;

constexpr const char* spec_version = "1.0.34";
constexpr const char* role_names[] = {"root", "targets", "snapshot", "timestamp"};

using Keys = std::map<std::string, SigningKey>; ///< By role.

sys_seconds whole_seconds(TimePoint time) {
    return std::chrono::floor<std::chrono::seconds>(time);
}

fs::path key_file(const fs::path& keys, const std::string& role) {
    return keys / (role + ".pem");
}

Result<Keys> load_keys(const fs::path& keys, const std::vector<std::string>& roles) {
    Keys out;
    for (const auto& role : roles) {
        auto key = SigningKey::load(key_file(keys, role));
        if (!key) {
            return tl::unexpected(within("sign " + role, key.error()));
        }
        out.emplace(role, std::move(*key));
    }
    return out;
}

json new_body(const char* type, std::uint64_t version, sys_seconds expires) {
    return {{"_type", type},
            {"spec_version", spec_version},
            {"version", version},
            {"expires", format_utc(expires)}};
}

json describe(std::uint64_t version, ByteSpan file) {
    return {{"version", version},
            {"length", file.size()},
            {"hashes", {{"sha256", sha256(file).hex()}}}};
}

Result<Bytes> sign(const json& body, const SigningKey& key) {
    const auto message = canonical_json(body);
    return key.sign(as_bytes(message)).map([&](const Bytes& signature) {
        return encode_envelope(body, {{key.public_key().id(), to_hex(signature)}});
    });
}

/// A role's metadata as it is in the repository, verified.
struct Current {
    json body;
    std::uint64_t version = 0;
    sys_seconds expires;
};

struct Repository {
    Root root;
    Current targets;
    Current snapshot;
    Current timestamp;
};

Result<Root> latest_root(const fs::path& metadata) {
    auto bytes = read_file(metadata / "1.root.json", limits::root_bytes);
    if (!bytes) {
        return tl::unexpected(within("read the repository", bytes.error()));
    }
    auto root = accept_first_root(*bytes, (metadata / "1.root.json").string());
    while (root) {
        const auto path = metadata / (std::to_string(root->header.version + 1) + ".root.json");
        bytes = read_file(path, limits::root_bytes);
        if (!bytes && bytes.error().code == std::errc::no_such_file_or_directory) {
            break;
        }
        if (!bytes) {
            return tl::unexpected(bytes.error());
        }
        root = accept_next_root(*root, *bytes, path.string());
    }
    return root;
}

/// What `accept` makes of a file, and its body for changing and signing anew. A role whose key is
/// at hand must carry that key's signature: whoever can write the repository could have put in a
/// root of their own, and would else get our signature on top of their metadata.
template <typename T, typename Accept>
Result<T> read_role(const fs::path& path, std::uint64_t bytes_max, const Keys& keys,
                    const std::string& role, Current& out, Accept accept) {
    const auto bytes = read_file(path, bytes_max);
    if (!bytes) {
        return tl::unexpected(within("read the repository", bytes.error()));
    }
    Result<T> accepted = accept(*bytes, path.string());
    auto envelope = parse_envelope(*bytes, bytes_max, path.string());
    if (!accepted || !envelope) {
        return accepted ? tl::unexpected(envelope.error()) : tl::unexpected(accepted.error());
    }
    if (const auto key = keys.find(role); key != keys.end()) {
        const RoleKeys own{{key->second.public_key().id()}, 1};
        const KeyRing ring{{own.key_ids.front(), key->second.public_key()}};
        auto ours = verify_threshold(*envelope, ring, own, path.string(), role + " (own key)");
        if (!ours) {
            return tl::unexpected(ours.error());
        }
    }
    out = {std::move(envelope->body), accepted->header.version, accepted->header.expires};
    return accepted;
}

std::string versioned(const FileDescription& file, const char* name) {
    return std::to_string(file.version) + "." + name;
}

Result<Repository> read_repository(const fs::path& metadata, const Keys& keys) {
    auto root = latest_root(metadata);
    if (!root) {
        return tl::unexpected(root.error());
    }
    Repository out{std::move(*root), {}, {}, {}};
    const auto timestamp = read_role<Timestamp>(
        metadata / "timestamp.json", limits::timestamp_bytes, keys, "timestamp", out.timestamp,
        [&](ByteSpan file, const std::string& what) {
            return accept_timestamp(out.root, file, what);
        });
    if (!timestamp) {
        return tl::unexpected(timestamp.error());
    }
    const auto snapshot = read_role<Snapshot>(
        metadata / versioned(timestamp->snapshot, "snapshot.json"), limits::snapshot_bytes, keys,
        "snapshot", out.snapshot, [&](ByteSpan file, const std::string& what) {
            return accept_snapshot(out.root, timestamp->snapshot, file, what);
        });
    if (!snapshot) {
        return tl::unexpected(snapshot.error());
    }
    const auto& listed = snapshot->meta.at("targets.json");
    const auto targets = read_role<Targets>(
        metadata / versioned(listed, "targets.json"), limits::targets_bytes, keys, "targets",
        out.targets, [&](ByteSpan file, const std::string& what) {
            return accept_targets(authority_of(out.root, "targets"), listed, file, what, "targets");
        });
    if (!targets) {
        return tl::unexpected(targets.error());
    }
    return out;
}

/// The role's next version, signed and checked as a client would before anyone sees it.
Result<Bytes> sign_next(Current& role, const Root& root, const SigningKey& key,
                        const std::string& name, std::uint64_t bytes_max, sys_seconds expires) {
    role.version += 1;
    role.expires = expires;
    role.body["version"] = role.version;
    role.body["expires"] = format_utc(expires);
    role.body["spec_version"] = spec_version;
    auto file = sign(role.body, key);
    if (!file) {
        return file;
    }
    const auto envelope = parse_envelope(*file, bytes_max, "the new " + name + ".json");
    if (!envelope) {
        return tl::unexpected(envelope.error());
    }
    auto valid =
        verify_threshold(*envelope, root.keys, root.roles.at(name), "the new " + name, name);
    if (!valid) {
        return tl::unexpected(Error{Errc::failed, valid.error().context});
    }
    return file;
}

Result<> write_timestamp(const fs::path& metadata, Repository& repository, const Keys& keys,
                         sys_seconds expires) {
    return sign_next(repository.timestamp, repository.root, keys.at("timestamp"), "timestamp",
                     limits::timestamp_bytes, expires)
        .and_then(
            [&](const Bytes& file) { return replace_file(metadata / "timestamp.json", file); });
}

/// Writes the next snapshot and makes the timestamp's body list it.
Result<> write_snapshot(const fs::path& metadata, Repository& repository, const Keys& keys,
                        sys_seconds expires) {
    auto& snapshot = repository.snapshot;
    return sign_next(snapshot, repository.root, keys.at("snapshot"), "snapshot",
                     limits::snapshot_bytes, expires)
        .and_then([&](const Bytes& file) {
            repository.timestamp.body["meta"]["snapshot.json"] = describe(snapshot.version, file);
            return replace_file(metadata / (std::to_string(snapshot.version) + ".snapshot.json"),
                                file);
        });
}

/// Writes the next targets and makes the snapshot's body list it.
Result<> write_targets(const fs::path& metadata, Repository& repository, const Keys& keys,
                       sys_seconds expires) {
    auto& targets = repository.targets;
    return sign_next(targets, repository.root, keys.at("targets"), "targets", limits::targets_bytes,
                     expires)
        .and_then([&](const Bytes& file) {
            repository.snapshot.body["meta"]["targets.json"] = describe(targets.version, file);
            return replace_file(metadata / (std::to_string(targets.version) + ".targets.json"),
                                file);
        });
}

Result<json> describe(const Target& target) {
    const auto refuse = [&](const std::string& why) {
        return fail(Errc::usage, "target \"" + printable(target.path) + "\": " + why);
    };
    // Through our own parser: what it takes, every client takes.
    json::string_t quoted;
    try {
        quoted = json(target.path).dump();
    } catch (const json::exception&) {
        return refuse("its path is not UTF-8");
    }
    if (target.path.empty() || target.path.size() > limits::name_bytes) {
        return refuse("its path is empty or longer than " + std::to_string(limits::name_bytes));
    }
    json out{{"length", target.bytes}, {"hashes", {{"sha256", target.sha256.hex()}}}};
    if (!target.custom.empty()) {
        auto custom = parse_json(as_bytes(target.custom), limits::targets_bytes, "custom");
        if (!custom || !custom->is_object()) {
            return refuse("its custom is no JSON object");
        }
        out["custom"] = std::move(*custom);
    }
    return out;
}

Result<> change_targets(json& body, const std::vector<Target>& added,
                        const std::vector<std::string>& removed) {
    auto& targets = body["targets"];
    for (const auto& path : removed) {
        targets.erase(path);
    }
    for (const auto& target : added) {
        auto described = describe(target);
        if (!described) {
            return tl::unexpected(described.error());
        }
        targets[target.path] = std::move(*described);
    }
    return {};
}

Result<> make_directory(const fs::path& path, unsigned mode) {
    if (::mkdir(path.c_str(), mode) != 0) {
        return fail_errno("create " + path.string());
    }
    return {};
}

Result<> rename_into_place(const fs::path& from, const fs::path& to) {
    std::error_code failed;
    fs::rename(from, to, failed);
    if (failed) {
        return fail(failed, "rename " + from.string() + " to " + to.string());
    }
    return fsync_directory(to.parent_path());
}

Result<Keys> make_keys(const fs::path& directory) {
    Keys out;
    for (const auto* role : role_names) {
        auto key = SigningKey::generate();
        if (!key) {
            return tl::unexpected(key.error());
        }
        if (auto saved = key->save(key_file(directory, role)); !saved) {
            return tl::unexpected(saved.error());
        }
        out.emplace(role, std::move(*key));
    }
    return out;
}

json first_root(const Keys& keys, sys_seconds expires) {
    auto body = new_body("root", 1, expires);
    body["consistent_snapshot"] = true;
    for (const auto& [role, key] : keys) {
        const auto& id = key.public_key().id();
        body["keys"][id] = key.public_key().object();
        body["roles"][role] = {{"keyids", {id}}, {"threshold", 1}};
    }
    return body;
}

Result<> write_first(const fs::path& metadata, const Keys& keys, sys_seconds now,
                     const Validity& validity) {
    const auto write = [&](const char* role, const std::string& name, const json& body) {
        return sign(body, keys.at(role)).and_then([&](const Bytes& file) -> Result<Bytes> {
            return replace_file(metadata / name, file).map([&] { return file; });
        });
    };
    auto targets = new_body("targets", 1, now + validity.targets);
    targets["targets"] = json::object();
    auto snapshot = new_body("snapshot", 1, now + validity.snapshot);
    auto timestamp = new_body("timestamp", 1, now + validity.timestamp);
    return write("root", "1.root.json", first_root(keys, now + validity.root))
        .and_then([&](const Bytes&) { return write("targets", "1.targets.json", targets); })
        .and_then([&](const Bytes& file) {
            snapshot["meta"]["targets.json"] = describe(1, file);
            return write("snapshot", "1.snapshot.json", snapshot);
        })
        .and_then([&](const Bytes& file) {
            timestamp["meta"]["snapshot.json"] = describe(1, file);
            return write("timestamp", "timestamp.json", timestamp);
        })
        .map([](const Bytes&) {});
}

fs::path clean(const fs::path& path) {
    const auto whole = fs::absolute(path).lexically_normal();
    return whole.has_filename() ? whole : whole.parent_path(); // "DIR/" names DIR.
}

bool runs_out(const Current& role, sys_seconds now, std::chrono::days validity) {
    return role.expires - now < std::chrono::seconds(validity) / 2;
}

} // namespace

Result<> init_repository(const fs::path& repository, const fs::path& keys, TimePoint now,
                         Validity validity) {
    const auto metadata = clean(repository) / "metadata";
    const auto key_directory = clean(keys);
    for (const auto& path : {metadata, key_directory}) {
        std::error_code ignored;
        if (fs::exists(fs::symlink_status(path, ignored))) {
            return fail(Errc::failed, path.string() + ": exists already; nothing was changed");
        }
    }
    std::error_code made;
    fs::create_directories(metadata.parent_path(), made);
    fs::create_directories(key_directory.parent_path(), made);
    if (made) {
        return fail(made, "create " + metadata.parent_path().string());
    }
    const auto new_keys = temporary_name(key_directory.parent_path(), "keys");
    const auto new_metadata = temporary_name(metadata.parent_path(), "metadata");
    auto done = make_directory(new_keys, 0700)
                    .and_then([&] { return make_directory(new_metadata, 0755); })
                    .and_then([&] { return make_keys(new_keys); })
                    .and_then([&](const Keys& made_keys) {
                        return write_first(new_metadata, made_keys, whole_seconds(now), validity);
                    })
                    .and_then([&] { return rename_into_place(new_keys, key_directory); })
                    .and_then([&] { return rename_into_place(new_metadata, metadata); });
    if (!done) {
        std::error_code ignored;
        fs::remove_all(new_keys, ignored);
        fs::remove_all(new_metadata, ignored);
    }
    return done;
}

Result<> publish_targets(const fs::path& repository, const fs::path& keys,
                         const std::vector<Target>& added, const std::vector<std::string>& removed,
                         TimePoint now, Validity validity) {
    const auto metadata = repository / "metadata";
    const auto signers = load_keys(keys, {"targets", "snapshot", "timestamp"});
    if (!signers) {
        return tl::unexpected(signers.error());
    }
    auto current = read_repository(metadata, *signers);
    if (!current) {
        return tl::unexpected(current.error());
    }
    const auto start = whole_seconds(now);
    return change_targets(current->targets.body, added, removed)
        .and_then(
            [&] { return write_targets(metadata, *current, *signers, start + validity.targets); })
        .and_then(
            [&] { return write_snapshot(metadata, *current, *signers, start + validity.snapshot); })
        .and_then([&] {
            return write_timestamp(metadata, *current, *signers, start + validity.timestamp);
        });
}

Result<bool> renew(const fs::path& repository, const fs::path& keys, TimePoint now,
                   Validity validity) {
    const auto metadata = repository / "metadata";
    const auto signers = load_keys(keys, {"snapshot", "timestamp"});
    if (!signers) {
        return tl::unexpected(signers.error());
    }
    auto current = read_repository(metadata, *signers);
    if (!current) {
        return tl::unexpected(current.error());
    }
    const auto start = whole_seconds(now);
    const bool snapshot = runs_out(current->snapshot, start, validity.snapshot);
    if (!snapshot && !runs_out(current->timestamp, start, validity.timestamp)) {
        return false;
    }
    auto written = snapshot
                       ? write_snapshot(metadata, *current, *signers, start + validity.snapshot)
                       : Result<>();
    return written
        .and_then([&] {
            return write_timestamp(metadata, *current, *signers, start + validity.timestamp);
        })
        .map([] { return true; });
}

} // namespace slipway::trust
