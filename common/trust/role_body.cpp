#include "common/trust/role_body.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/core/errc.h"
#include "common/core/names.h"
#include "common/trust/canonical_json.h"
#include "common/trust/utc_time.h"

namespace slipway::trust {
namespace {

using nlohmann::json;

constexpr const char* spec_version = "1.0.34";
constexpr std::size_t id_digits_min = 8;
/// Parts that a name may have below a delegated prefix: TUF's patterns match part by part.
constexpr int parts_below_max = 8;

std::string shown(const std::string& id) {
    return id.substr(0, 16);
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

bool is_top_level(const std::string& role) {
    return role == "root" || role == "targets" || role == "snapshot" || role == "timestamp";
}

json* find_named(json& roles, const std::string& name) {
    const auto found = std::find_if(roles.begin(), roles.end(),
                                    [&](const json& one) { return one["name"] == name; });
    return found == roles.end() ? nullptr : &*found;
}

/// "role NAME" -> how it is signed, whether the roles are a root's or delegations.
std::map<std::string, json> roles_of(const json& body) {
    std::map<std::string, json> out;
    if (body.contains("roles")) {
        for (const auto& [name, role] : body["roles"].items()) {
            out["role " + name] = role;
        }
    }
    if (body.contains("delegations")) {
        for (const auto& role : body["delegations"]["roles"]) {
            out["delegation " + role["name"].get<std::string>()] = role;
        }
    }
    return out;
}

void compare_roles(const std::string& name, const json& before, const json& after,
                   std::vector<std::string>& out) {
    const auto ids = [](const json& role) {
        return role.is_null() ? std::set<std::string>{}
                              : role["keyids"].get<std::set<std::string>>();
    };
    for (const auto& id : ids(after)) {
        if (!ids(before).contains(id)) {
            out.push_back(name + ": adds key " + shown(id));
        }
    }
    for (const auto& id : ids(before)) {
        if (!ids(after).contains(id)) {
            out.push_back(name + ": removes key " + shown(id));
        }
    }
    if (!after.is_null() && (before.is_null() || before["threshold"] != after["threshold"])) {
        out.push_back(name + ": needs " + after["threshold"].dump() + " of " +
                      std::to_string(after["keyids"].size()) + " keys");
    }
    for (const auto* scope : {"paths", "path_hash_prefixes", "terminating"}) {
        const auto then = after.is_null() ? json() : after.value(scope, json());
        if (then != (before.is_null() ? json() : before.value(scope, json()))) {
            out.push_back(name + ": " + scope + " " + then.dump());
        }
    }
}

} // namespace

json new_body(const char* type) {
    json body{{"_type", type}};
    if (std::string_view(type) == "targets") {
        body["targets"] = json::object();
    }
    return body;
}

void stamp(json& body, std::uint64_t version, std::chrono::sys_seconds expires) {
    body["version"] = version;
    body["expires"] = format_utc(expires);
    body["spec_version"] = spec_version;
}

std::uint64_t bytes_max(const std::string& role) {
    return role == "root"        ? limits::root_bytes
           : role == "snapshot"  ? limits::snapshot_bytes
           : role == "timestamp" ? limits::timestamp_bytes
                                 : limits::targets_bytes;
}

bool lists(const RoleKeys& role, const std::string& key_id) {
    return std::find(role.key_ids.begin(), role.key_ids.end(), key_id) != role.key_ids.end();
}

Result<KeyList> KeyList::of(json& body, const std::string& role) {
    if (body["_type"] == "root") {
        auto& roles = body["roles"];
        return roles.contains(role)
                   ? Result<KeyList>(KeyList(&body["keys"], &roles, &roles[role], role))
                   : fail(Errc::not_found, "role " + role + " in the root");
    }
    auto* const found =
        body.contains("delegations") ? find_named(body["delegations"]["roles"], role) : nullptr;
    if (found == nullptr) {
        return fail(Errc::not_found, "a delegation to " + role);
    }
    auto& delegations = body["delegations"];
    return KeyList(&delegations["keys"], &delegations["roles"], found, role);
}

std::vector<std::string> KeyList::ids() const {
    return (*role_)["keyids"].get<std::vector<std::string>>();
}

Result<> KeyList::add(const PublicKey& key) {
    const auto known = ids();
    if (std::find(known.begin(), known.end(), key.id()) != known.end()) {
        return fail(Errc::usage, "role " + name_ + " has the key " + shown(key.id()) + " already");
    }
    (*role_)["keyids"].push_back(key.id());
    (*keys_)[key.id()] = key.object();
    return {};
}

Result<std::string> KeyList::remove(const std::string& id) {
    std::vector<std::string> matching;
    auto kept = json::array();
    for (const auto& known : ids()) {
        if (id.size() >= id_digits_min && known.starts_with(id)) {
            matching.push_back(known);
        } else {
            kept.push_back(known);
        }
    }
    if (matching.size() != 1) {
        return fail(matching.empty() ? Errc::not_found : Errc::usage,
                    "key " + id + " of role " + name_ +
                        (matching.empty() ? " (an id, or its first 8 digits or more)"
                                          : ": several begin so"));
    }
    (*role_)["keyids"] = std::move(kept);
    const bool used = std::any_of(all_roles_->begin(), all_roles_->end(), [&](const json& role) {
        const auto& list = role["keyids"];
        return std::find(list.begin(), list.end(), matching.front()) != list.end();
    });
    if (!used) {
        keys_->erase(matching.front());
    }
    return matching.front();
}

Result<> KeyList::check() const {
    const auto threshold = (*role_)["threshold"].get<std::uint64_t>();
    const auto count = ids().size();
    if (threshold < 1 || threshold > count) {
        return fail(Errc::usage, "role " + name_ + " would need " + std::to_string(threshold) +
                                     " signatures and have " + std::to_string(count) +
                                     " keys; say how many with --threshold");
    }
    return {};
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

std::string role_of_prefix(std::string prefix) {
    std::replace(prefix.begin(), prefix.end(), '/', '~');
    return prefix;
}

std::string lister_of(const std::string& role) {
    return is_top_level(role) ? "root" : "targets";
}

Result<> add_delegation(json& body, const std::string& prefix) {
    if (auto name = parse_artifact_name(prefix); !name) {
        return tl::unexpected(within("delegate", name.error()));
    }
    if (!body.contains("delegations")) {
        body["delegations"] = {{"keys", json::object()}, {"roles", json::array()}};
    }
    auto& roles = body["delegations"]["roles"];
    const auto name = role_of_prefix(prefix);
    if (is_top_level(name)) {
        return fail(Errc::usage, "delegate " + prefix + ": it is the name of a role of the root");
    }
    if (find_named(roles, name) != nullptr) {
        return fail(Errc::usage, prefix +
                                     " is delegated already; change its keys with 'slipway "
                                     "repo key add|rotate|revoke " +
                                     prefix + "'");
    }
    auto paths = json::array(); // NAME/VERSION/FILE
    std::string pattern = prefix + "/*/*";
    for (int i = 0; i <= parts_below_max; ++i) {
        paths.push_back(pattern);
        pattern += "/*";
    }
    // The longest prefix first: it has the say over what it covers.
    const auto before = std::find_if(roles.begin(), roles.end(), [&](const json& one) {
        return name.starts_with(one["name"].get_ref<const std::string&>() + "~");
    });
    roles.insert(before, json{{"name", name},
                              {"keyids", json::array()},
                              {"threshold", std::uint64_t{1}},
                              {"terminating", true},
                              {"paths", std::move(paths)}});
    return {};
}

Result<> remove_delegation(json& body, const std::string& prefix) {
    auto list = KeyList::of(body, role_of_prefix(prefix));
    if (!list) {
        return tl::unexpected(list.error());
    }
    for (const auto& id : list->ids()) {
        if (auto removed = list->remove(id); !removed) {
            return tl::unexpected(removed.error());
        }
    }
    auto& roles = body["delegations"]["roles"];
    roles.erase(std::find_if(roles.begin(), roles.end(), [&](const json& one) {
        return one["name"] == role_of_prefix(prefix);
    }));
    return {};
}

std::vector<std::string> differences(const json& before, const json& after) {
    std::vector<std::string> out;
    const auto old_roles = roles_of(before);
    const auto new_roles = roles_of(after);
    for (const auto& [name, role] : new_roles) {
        const auto old = old_roles.find(name);
        compare_roles(name, old == old_roles.end() ? json() : old->second, role, out);
    }
    for (const auto& [name, role] : old_roles) {
        if (!new_roles.contains(name)) {
            out.push_back("removes " + name);
        }
    }
    const auto old_targets = before.value("targets", json::object());
    const auto new_targets = after.value("targets", json::object());
    for (const auto& [path, target] : new_targets.items()) {
        if (!old_targets.contains(path) || old_targets[path] != target) {
            out.push_back((old_targets.contains(path) ? "replaces " : "adds ") + path);
        }
    }
    for (const auto& [path, target] : old_targets.items()) {
        if (!new_targets.contains(path)) {
            out.push_back("removes " + path);
        }
    }
    out.push_back("expires " + after["expires"].get<std::string>());
    return out;
}

} // namespace slipway::trust
