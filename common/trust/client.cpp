#include "common/trust/client.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/trust/workflow.h"

namespace slipway::trust {
namespace fs = std::filesystem;
namespace {

/// A role on the way to a target, and who sent us there.
struct Visit {
    std::string role;
    const Targets* delegator;     ///< Null for the top-level targets.
    const Delegation* delegation; ///< In `delegator`.
};

std::string remote_name(const Root& root, const std::string& name,
                        const FileDescription& expected) {
    return root.consistent_snapshot ? std::to_string(expected.version) + "." + name : name;
}

std::uint64_t bytes_max(const FileDescription& expected, std::uint64_t limit) {
    return std::min(expected.length.value_or(limit), limit);
}

Result<Target> to_target(const std::string& path, const TargetFile& listed) {
    const auto hash = listed.hashes.find("sha256");
    if (hash == listed.hashes.end()) {
        return fail(Errc::verification_failed, "target " + path + ": no sha256 is listed");
    }
    const auto digest = Sha256Digest::from_hex(hash->second);
    if (!digest) {
        return tl::unexpected(within("target " + path, digest.error()));
    }
    return Target{path, listed.length, *digest, listed.custom};
}

} // namespace

/// What one refresh or load verified, all of it together.
struct TrustedSet {
    Root root;
    Snapshot snapshot; ///< Empty for `local_only`.
    Targets targets;
    /// By who delegated and to whom. Nodes never move: visits point into them.
    std::map<std::pair<const Targets*, std::string>, Targets> delegated;
    bool local_only = false; ///< Delegated roles come from the disk, fresh or not.
};

struct Client::State {
    State(fs::path trusted_directory, MetadataSource& from, std::chrono::sys_seconds start)
        : directory(std::move(trusted_directory)), source(from), now(start) {}

    fs::path directory;
    MetadataSource& source;
    std::chrono::sys_seconds now;
    std::unique_ptr<TrustedSet> loaded;

    [[nodiscard]] fs::path file(const std::string& name) const { return directory / name; }
    Result<Bytes> fetch(const std::string& name, std::uint64_t max_bytes);
    Result<> persist(const std::string& name, ByteSpan bytes);
    void forget(const std::string& name);
    void sweep();

    Result<Root> local_root();
    Result<Root> update_root(Root root);
    Result<Timestamp> update_timestamp(const Root& root);
    Result<Snapshot> update_snapshot(const Root& root, const Timestamp& timestamp);
    Result<Targets> update_targets(const Root& root, const Snapshot& snapshot,
                                   const Authority& authority, const std::string& role);
    template <typename Accept>
    auto local(const std::string& name, std::uint64_t max_bytes, Accept accept)
        -> decltype(accept(ByteSpan{}));

    Result<const Targets*> visit(TrustedSet& set, const Visit& at);
    Result<const TargetFile*> search(TrustedSet& set, const std::string& path);
    Result<std::set<std::string>> candidates(TrustedSet& set);
};

Result<Bytes> DirectorySource::fetch_metadata(const std::string& path, std::uint64_t max_bytes) {
    auto bytes = read_file(metadata_ / path, max_bytes);
    if (!bytes && bytes.error().code == std::errc::no_such_file_or_directory) {
        return fail(Errc::not_found, (metadata_ / path).string());
    }
    return bytes;
}

Result<Bytes> Client::State::fetch(const std::string& name, std::uint64_t max_bytes) {
    auto bytes = source.fetch_metadata(name, max_bytes);
    if (!bytes && bytes.error().code == Errc::verification_failed) {
        return fail(Errc::verification_failed, name + ": " + bytes.error().context +
                                                   " (endless data attack, or a broken mirror)");
    }
    if (!bytes) {
        return tl::unexpected(within("fetch " + name, bytes.error()));
    }
    if (bytes->size() > max_bytes) {
        return fail(Errc::verification_failed, name + ": longer than " + std::to_string(max_bytes) +
                                                   " bytes (endless data attack)");
    }
    return bytes;
}

Result<> Client::State::persist(const std::string& name, ByteSpan bytes) {
    return replace_file(file(name), bytes).map_error([&](Error error) {
        return within("keep the verified " + name, std::move(error));
    });
}

void Client::State::forget(const std::string& name) {
    std::error_code ignored; // What remains is verified like any local file.
    fs::remove(file(name), ignored);
}

void Client::State::sweep() {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(directory, ignored)) {
        if (is_temporary_name(entry.path().filename().string())) {
            fs::remove(entry.path(), ignored);
        }
    }
}

// Local files pass the same signature checks as fetched ones: keys may have been revoked since,
// and a disk can lie.
template <typename Accept>
auto Client::State::local(const std::string& name, std::uint64_t max_bytes, Accept accept)
    -> decltype(accept(ByteSpan{})) {
    const auto bytes = read_file(file(name), max_bytes);
    if (!bytes) {
        return tl::unexpected(bytes.error());
    }
    return accept(*bytes);
}

Result<Root> Client::State::local_root() {
    auto root = local("root.json", limits::root_bytes, [&](ByteSpan bytes) {
        return accept_first_root(bytes, file("root.json").string());
    });
    if (root) {
        return root;
    }
    if (root.error().code == std::errc::no_such_file_or_directory) {
        return fail(Errc::not_found,
                    file("root.json").string() + ": no root is trusted yet; pass one with --trust");
    }
    return tl::unexpected(Error{root.error().code, root.error().context +
                                                       "; the trusted root is damaged: pass the "
                                                       "root again with --trust"});
}

// 5.3. Each accepted root is kept before the next is tried, so that a bad one later in the chain
// does not undo the revocations of those before it.
Result<Root> Client::State::update_root(Root root) {
    for (int i = 0; i < limits::root_rotations; ++i) {
        const auto name = std::to_string(root.header.version + 1) + ".root.json";
        const auto bytes = fetch(name, limits::root_bytes);
        if (!bytes && bytes.error().code == Errc::not_found) {
            break;
        }
        if (!bytes) {
            return tl::unexpected(bytes.error());
        }
        auto next = accept_next_root(root, *bytes, name);
        if (!next) {
            return next;
        }
        if (auto kept = persist("root.json", *bytes); !kept) {
            return tl::unexpected(kept.error());
        }
        if (revokes_online_keys(root, *next)) { // 5.3.11: recovers from a fast-forward attack.
            forget("timestamp.json");
            forget("snapshot.json");
        }
        root = std::move(*next);
    }
    if (auto fresh = check_fresh(root.header, now, "root.json"); !fresh) {
        return tl::unexpected(fresh.error());
    }
    return root;
}

// 5.4. An equal version is discarded: the one on disk stays, and has to be fresh.
Result<Timestamp> Client::State::update_timestamp(const Root& root) {
    const std::string name = "timestamp.json";
    auto trusted = local(name, limits::timestamp_bytes,
                         [&](ByteSpan bytes) { return accept_timestamp(root, bytes, name); });
    const auto bytes = fetch(name, limits::timestamp_bytes);
    if (!bytes) {
        return tl::unexpected(bytes.error());
    }
    auto next = accept_timestamp(root, *bytes, name);
    if (!next) {
        return next;
    }
    if (trusted) {
        if (auto forward = check_rollback(*trusted, *next, name); !forward) {
            return tl::unexpected(forward.error());
        }
    }
    const bool same = trusted && trusted->header.version == next->header.version;
    auto& chosen = same ? trusted : next;
    if (auto fresh = check_fresh(chosen->header, now, name); !fresh) {
        return tl::unexpected(fresh.error());
    }
    if (!same) {
        if (auto kept = persist(name, *bytes); !kept) {
            return tl::unexpected(kept.error());
        }
    }
    return std::move(chosen);
}

// 5.5. A local snapshot that the timestamp does not list any more still guards against a rollback.
Result<Snapshot> Client::State::update_snapshot(const Root& root, const Timestamp& timestamp) {
    const std::string name = "snapshot.json";
    const auto& expected = timestamp.snapshot;
    auto current = local(name, limits::snapshot_bytes, [&](ByteSpan bytes) {
        return accept_snapshot(root, expected, bytes, name);
    });
    if (current) {
        if (auto fresh = check_fresh(current->header, now, name); !fresh) {
            return tl::unexpected(fresh.error());
        }
        return current;
    }
    const auto remote = remote_name(root, name, expected);
    const auto bytes = fetch(remote, bytes_max(expected, limits::snapshot_bytes));
    if (!bytes) {
        return tl::unexpected(bytes.error());
    }
    auto next = accept_snapshot(root, expected, *bytes, remote);
    if (!next) {
        return next;
    }
    const auto trusted = local(name, limits::snapshot_bytes, [&](ByteSpan file_bytes) {
        return accept_snapshot(root, file_bytes, name);
    });
    auto accepted = (trusted ? check_rollback(*trusted, *next, remote) : Result<>())
                        .and_then([&] { return check_fresh(next->header, now, remote); })
                        .and_then([&] { return persist(name, *bytes); });
    if (!accepted) {
        return tl::unexpected(accepted.error());
    }
    return next;
}

// 5.6, and the same for delegated roles.
Result<Targets> Client::State::update_targets(const Root& root, const Snapshot& snapshot,
                                              const Authority& authority, const std::string& role) {
    const auto listed = snapshot.meta.find(role + ".json");
    if (listed == snapshot.meta.end()) {
        return fail(Errc::verification_failed,
                    "role " + role + ": the snapshot does not list it (mix-and-match attack)");
    }
    const auto& expected = listed->second;
    const auto name = escape_role_name(role) + ".json";
    auto current = local(name, limits::targets_bytes, [&](ByteSpan bytes) {
        return accept_targets(authority, expected, bytes, name, role);
    });
    if (current) {
        if (auto fresh = check_fresh(current->header, now, name); !fresh) {
            return tl::unexpected(fresh.error());
        }
        return current;
    }
    const auto remote = remote_name(root, name, expected);
    const auto bytes = fetch(remote, bytes_max(expected, limits::targets_bytes));
    if (!bytes) {
        return tl::unexpected(bytes.error());
    }
    auto next = accept_targets(authority, expected, *bytes, remote, role);
    if (!next) {
        return next;
    }
    auto accepted =
        check_fresh(next->header, now, remote).and_then([&] { return persist(name, *bytes); });
    if (!accepted) {
        return tl::unexpected(accepted.error());
    }
    return next;
}

/// The metadata of a role, verified against the role that sent us there, whoever else vouches for
/// it: a role that two others delegate to has an authority from each.
Result<const Targets*> Client::State::visit(TrustedSet& set, const Visit& at) {
    if (at.delegator == nullptr) {
        return &set.targets;
    }
    const std::pair key{at.delegator, at.role};
    const auto known = set.delegated.find(key);
    if (known != set.delegated.end()) {
        return &known->second;
    }
    const auto authority = authority_of(*at.delegator, *at.delegation);
    const auto name = escape_role_name(at.role) + ".json";
    auto fetched =
        set.local_only
            ? local(name, limits::targets_bytes,
                    [&](ByteSpan bytes) { return accept_targets(authority, bytes, name, at.role); })
            : update_targets(set.root, set.snapshot, authority, at.role);
    if (!fetched) {
        return tl::unexpected(fetched.error());
    }
    return &set.delegated.emplace(key, std::move(*fetched)).first->second;
}

// 5.6.7: pre-order, depth first. A terminating delegation drops all that was still to be visited.
Result<const TargetFile*> Client::State::search(TrustedSet& set, const std::string& path) {
    std::vector<Visit> pending{{"targets", nullptr, nullptr}};
    std::set<std::string> visited;
    while (!pending.empty() && visited.size() <= limits::delegations) {
        const auto at = pending.back();
        pending.pop_back();
        if (!visited.insert(at.role).second) {
            continue;
        }
        const auto role = visit(set, at);
        if (!role) {
            return tl::unexpected(within("look up target " + path, role.error()));
        }
        const auto found = (*role)->targets.find(path);
        if (found != (*role)->targets.end()) {
            return &found->second;
        }
        std::vector<Visit> next;
        for (const auto& delegation : (*role)->delegations) {
            if (!delegation.covers(path)) {
                continue;
            }
            next.push_back({delegation.name, *role, &delegation});
            if (delegation.terminating) {
                pending.clear();
                break;
            }
        }
        pending.insert(pending.end(), next.rbegin(), next.rend());
    }
    return fail(Errc::not_found,
                "target " + path + ": no trusted role lists it" +
                    (pending.empty() ? ""
                                     : " among the first " + std::to_string(limits::delegations) +
                                           " delegations"));
}

/// The paths that any role names, whether the role may or not.
Result<std::set<std::string>> Client::State::candidates(TrustedSet& set) {
    std::vector<Visit> pending{{"targets", nullptr, nullptr}};
    std::set<std::string> visited;
    std::set<std::string> paths;
    while (!pending.empty()) {
        const auto at = pending.back();
        pending.pop_back();
        if (!visited.insert(at.role).second) {
            continue;
        }
        if (visited.size() > limits::listed_roles) {
            return fail(Errc::verification_failed,
                        "more than " + std::to_string(limits::listed_roles) + " delegated roles");
        }
        const auto role = visit(set, at);
        if (!role) {
            return tl::unexpected(within("list targets", role.error()));
        }
        for (const auto& [path, target] : (*role)->targets) {
            paths.insert(path);
        }
        for (const auto& delegation : (*role)->delegations) {
            pending.push_back({delegation.name, *role, &delegation});
        }
    }
    return paths;
}

Client::Client(fs::path directory, MetadataSource& source, TimePoint now)
    : state_(std::make_unique<State>(std::move(directory), source,
                                     std::chrono::floor<std::chrono::seconds>(now))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;

Result<> Client::trust_root(ByteSpan root) {
    const auto given = accept_first_root(root, "the given root");
    if (!given) {
        return tl::unexpected(given.error());
    }
    std::error_code made;
    fs::create_directories(state_->directory, made);
    if (made) {
        return fail(made, "create " + state_->directory.string());
    }
    const auto trusted = state_->local_root();
    if (trusted && !accept_next_root(*trusted, root, "the given root")) {
        return {};
    }
    auto kept = state_->persist("root.json", root);
    if (kept && trusted && revokes_online_keys(*trusted, *given)) {
        state_->forget("timestamp.json");
        state_->forget("snapshot.json");
    }
    return kept;
}

Result<> Client::refresh() {
    state_->sweep();
    auto root = state_->local_root().and_then(
        [&](Root trusted) { return state_->update_root(std::move(trusted)); });
    if (!root) {
        return tl::unexpected(root.error());
    }
    const auto timestamp = state_->update_timestamp(*root);
    if (!timestamp) {
        return tl::unexpected(timestamp.error());
    }
    auto snapshot = state_->update_snapshot(*root, *timestamp);
    if (!snapshot) {
        return tl::unexpected(snapshot.error());
    }
    auto targets =
        state_->update_targets(*root, *snapshot, authority_of(*root, "targets"), "targets");
    if (!targets) {
        return tl::unexpected(targets.error());
    }
    state_->loaded = std::make_unique<TrustedSet>(
        TrustedSet{std::move(*root), std::move(*snapshot), std::move(*targets), {}, false});
    return {};
}

Result<> Client::load_local() {
    auto root = state_->local_root();
    if (!root) {
        return tl::unexpected(root.error());
    }
    const std::string name = "targets.json";
    auto targets = state_->local(name, limits::targets_bytes, [&](ByteSpan bytes) {
        return accept_targets(authority_of(*root, "targets"), bytes, state_->file(name).string(),
                              "targets");
    });
    if (!targets && targets.error().code == std::errc::no_such_file_or_directory) {
        return fail(Errc::not_found, state_->file(name).string() + ": never fetched");
    }
    if (!targets) {
        return tl::unexpected(targets.error());
    }
    state_->loaded = std::make_unique<TrustedSet>(
        TrustedSet{std::move(*root), {}, std::move(*targets), {}, true});
    return {};
}

Result<TargetFile> Client::find_listed(const std::string& target_path) {
    if (!state_->loaded) {
        return fail(Errc::failed, "look up target " + target_path + ": no metadata was loaded");
    }
    return state_->search(*state_->loaded, target_path).map([](const TargetFile* found) {
        return *found;
    });
}

Result<Target> Client::find(const std::string& target_path) {
    auto listed = find_listed(target_path);
    if (!listed) {
        return tl::unexpected(listed.error());
    }
    return to_target(target_path, *listed);
}

Result<std::vector<Target>> Client::all() {
    if (!state_->loaded) {
        return fail(Errc::failed, "list targets: no metadata was loaded");
    }
    const auto paths = state_->candidates(*state_->loaded);
    if (!paths) {
        return tl::unexpected(paths.error());
    }
    std::vector<Target> out;
    for (const auto& path : *paths) {
        const auto found = state_->search(*state_->loaded, path);
        if (!found && found.error().code != Errc::not_found) {
            return tl::unexpected(found.error());
        }
        auto target = found ? to_target(path, **found) : fail(Errc::not_found, path);
        if (target) {
            out.push_back(std::move(*target));
        }
    }
    return out;
}

bool Client::consistent_snapshot() const {
    return state_->loaded && state_->loaded->root.consistent_snapshot;
}

std::string consistent_target_path(const std::string& path, const std::string& hash) {
    const auto slash = path.rfind('/');
    const auto name = slash == std::string::npos ? 0 : slash + 1;
    return path.substr(0, name) + hash + "." + path.substr(name);
}

std::string consistent_target_path(const Target& target) {
    return consistent_target_path(target.path, target.sha256.hex());
}

} // namespace slipway::trust
