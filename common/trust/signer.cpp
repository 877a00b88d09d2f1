#include "common/trust/signer.h"

#include <algorithm>
#include <map>
#include <utility>

#include <sys/stat.h>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/trust/canonical_json.h"
#include "common/trust/role_body.h"

namespace slipway::trust {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;
using std::chrono::sys_seconds;

constexpr const char* role_names[] = {"root", "targets", "snapshot", "timestamp"};

using Keys = std::map<std::string, SigningKey>; ///< By role.

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

Result<Keys> make_keys(const fs::path& directory, const NewKeys& wanted) {
    Keys out;
    for (const auto* role : role_names) {
        auto key = SigningKey::generate(wanted.kind);
        if (!key) {
            return tl::unexpected(key.error());
        }
        if (auto saved = key->save(KeyDirectory(directory).file_of(role), wanted.passphrase);
            !saved) {
            return tl::unexpected(saved.error());
        }
        out.emplace(role, std::move(*key));
    }
    return out;
}

json first_root(const Keys& keys, sys_seconds expires) {
    auto body = new_body("root");
    stamp(body, 1, expires);
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
    auto targets = new_body("targets");
    stamp(targets, 1, now + validity.targets);
    auto snapshot = new_body("snapshot");
    stamp(snapshot, 1, now + validity.snapshot);
    auto timestamp = new_body("timestamp");
    stamp(timestamp, 1, now + validity.timestamp);
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

/// What these keys belong to: read_published() begins there.
Result<> keep_root(const fs::path& metadata, const fs::path& keys) {
    return read_file(metadata / "1.root.json", limits::root_bytes).and_then([&](const Bytes& root) {
        return replace_file(keys / "root.json", root, 0600);
    });
}

fs::path clean(const fs::path& path) {
    const auto whole = fs::absolute(path).lexically_normal();
    return whole.has_filename() ? whole : whole.parent_path(); // "DIR/" names DIR.
}

bool runs_out(const PublishedRole& role, sys_seconds now, std::chrono::days validity) {
    return role.header.expires - now < std::chrono::seconds(validity) / 2;
}

Renewal expiry(const Published& published) {
    Renewal out;
    for (const auto* role : role_names) {
        out.expires[role] = published.find(role)->header.expires;
    }
    return out;
}

bool covers_all(const Delegation& delegation, const std::vector<Target>& added,
                const std::vector<std::string>& removed) {
    return std::all_of(added.begin(), added.end(),
                       [&](const Target& one) { return delegation.covers(one.path); }) &&
           std::all_of(removed.begin(), removed.end(),
                       [&](const std::string& path) { return delegation.covers(path); });
}

/// The role to list the targets in: by the keys that are here, the narrower one first.
Result<std::string> role_for(const RepositoryEditor& editor, const std::vector<Target>& added,
                             const std::vector<std::string>& removed) {
    std::string others;
    for (const auto& delegation : editor.published().top.delegations) {
        if (!editor.keys().has(delegation.name)) {
            continue;
        }
        if (covers_all(delegation, added, removed)) {
            return delegation.name;
        }
        others += (others.empty() ? "" : ", ") + delegation.name;
    }
    if (editor.keys().has("targets")) {
        return "targets";
    }
    const auto missing = "sign targets: there is no " + editor.keys().file_of("targets").string();
    return others.empty() ? fail(Errc::not_found, missing)
                          : fail(Errc::not_found,
                                 missing + ", and the keys there are for " + others + " only");
}

/// Whether a signature of a key that is here counts for the role.
bool counts(const Outcome& outcome, const std::string& role) {
    return std::none_of(outcome.waiting.begin(), outcome.waiting.end(), [&](const Waiting& one) {
        return one.role == role && one.signed_by.empty();
    });
}

Result<> apply(json& body, const std::string& role, const KeyChange& change) {
    return KeyList::of(body, role).and_then([&](KeyList list) -> Result<> {
        for (const auto& id : change.remove) {
            if (auto removed = list.remove(id); !removed) {
                return tl::unexpected(removed.error());
            }
        }
        for (const auto& key : change.add) {
            if (auto added = list.add(key); !added) {
                return added;
            }
        }
        if (change.threshold) {
            list.set_threshold(*change.threshold);
        }
        return list.check();
    });
}

} // namespace

Result<> init_repository(const fs::path& repository, const fs::path& keys, TimePoint now,
                         const NewKeys& wanted, Validity validity) {
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
                    .and_then([&] { return make_keys(new_keys, wanted); })
                    .and_then([&](const Keys& made_keys) {
                        return write_first(new_metadata, made_keys,
                                           std::chrono::floor<std::chrono::seconds>(now), validity);
                    })
                    .and_then([&] { return keep_root(new_metadata, new_keys); })
                    .and_then([&] { return rename_into_place(new_keys, key_directory); })
                    .and_then([&] { return rename_into_place(new_metadata, metadata); });
    if (!done) {
        std::error_code ignored;
        fs::remove_all(new_keys, ignored);
        fs::remove_all(new_metadata, ignored);
    }
    return done;
}

Result<Outcome> publish_targets(const fs::path& repository, const KeyDirectory& keys,
                                const std::vector<Target>& added,
                                const std::vector<std::string>& removed, TimePoint now,
                                Validity validity) {
    auto editor = RepositoryEditor::open(repository, keys, now, validity);
    if (editor && !editor->drafts().empty()) { // What is whole by now goes first.
        if (auto settled = editor->settle(RepositoryEditor::Staged::leave); !settled) {
            return settled;
        }
        editor = RepositoryEditor::open(repository, keys, now, validity);
    }
    if (!editor) {
        return tl::unexpected(editor.error());
    }
    const auto role = role_for(*editor, added, removed);
    if (!role) {
        return tl::unexpected(role.error());
    }
    if (editor->has_draft(*role)) {
        return fail(Errc::busy, "a change of role " + *role +
                                    " waits for signatures: complete it with 'slipway repo sign' "
                                    "or drop it with 'slipway repo sign --discard " +
                                    *role + "', then publish again");
    }
    return editor->change(*role)
        .and_then([&](json* body) { return change_targets(*body, added, removed); })
        .and_then([&] { return editor->settle(RepositoryEditor::Staged::leave); })
        .and_then([&](Outcome outcome) -> Result<Outcome> {
            if (!counts(outcome, *role)) {
                return fail(Errc::failed, "sign " + *role + ": no key in " + keys.path().string() +
                                              " is one that the repository lists for it");
            }
            return outcome;
        });
}

Result<Renewal> watch_expiry(const fs::path& repository) {
    return read_published(repository, fs::path()).map(expiry);
}

Result<Renewal> renew(const fs::path& repository, const KeyDirectory& keys, TimePoint now,
                      Validity validity) {
    auto editor = RepositoryEditor::open(repository, keys, now, validity);
    if (!editor) {
        return tl::unexpected(editor.error());
    }
    const auto start = std::chrono::floor<std::chrono::seconds>(now);
    const auto& published = editor->published();
    auto out = expiry(published);
    const bool snapshot = runs_out(published.snapshot, start, validity.snapshot);
    if (!snapshot && !runs_out(published.timestamp, start, validity.timestamp)) {
        return out;
    }
    return editor->renew(snapshot).map([&](const Outcome&) {
        out.written = true;
        out.expires["timestamp"] = start + validity.timestamp;
        if (snapshot) {
            out.expires["snapshot"] = start + validity.snapshot;
        }
        return out;
    });
}

Result<> change_keys(RepositoryEditor& editor, const std::string& role, const KeyChange& change) {
    return editor.change(lister_of(role)).and_then([&](json* body) {
        return apply(*body, role_of_prefix(role), change);
    });
}

Result<> delegate(RepositoryEditor& editor, const std::string& prefix, const KeyChange& change) {
    return editor.change("targets").and_then([&](json* body) {
        return add_delegation(*body, prefix).and_then([&] {
            return apply(*body, role_of_prefix(prefix), change);
        });
    });
}

Result<> undelegate(RepositoryEditor& editor, const std::string& prefix) {
    return editor.change("targets").and_then(
        [&](json* body) { return remove_delegation(*body, prefix); });
}

} // namespace slipway::trust
