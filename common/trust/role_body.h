#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/core/result.h"
#include "common/trust/client.h"
#include "common/trust/keys.h"
#include "common/trust/metadata.h"

/// Changes of metadata bodies ("signed") as pure functions. The bodies were parsed before, so the
/// members that parsing checks are there.
namespace slipway::trust {

/// A body without members of its own: type, version of the specification, and for "targets" an
/// empty list.
[[nodiscard]] nlohmann::json new_body(const char* type);
void stamp(nlohmann::json& body, std::uint64_t version, std::chrono::sys_seconds expires);

/// Limit of a role's file.
[[nodiscard]] std::uint64_t bytes_max(const std::string& role);
[[nodiscard]] bool lists(const RoleKeys& role, const std::string& key_id);

/// The keys of one role, in a root or among the delegations of targets.
class KeyList {
public:
    /// Errc::not_found if `body` (of a root or of targets) has no such role.
    [[nodiscard]] static Result<KeyList> of(nlohmann::json& body, const std::string& role);
    /// Errc::usage if the role has the key already.
    [[nodiscard]] Result<> add(const PublicKey& key);
    /// `id` may be cut to its first 8 digits or more. Gives the whole id. Errc::not_found if there
    /// is no such key, Errc::usage if several begin so.
    [[nodiscard]] Result<std::string> remove(const std::string& id);
    /// How many keys must sign. check() has to follow: keys may still be added.
    void set_threshold(std::uint64_t threshold) { (*role_)["threshold"] = threshold; }
    /// Errc::usage if the threshold is more than there are keys, or 0.
    [[nodiscard]] Result<> check() const;
    [[nodiscard]] std::vector<std::string> ids() const;

private:
    KeyList(nlohmann::json* keys, nlohmann::json* all_roles, nlohmann::json* role, std::string name)
        : keys_(keys), all_roles_(all_roles), role_(role), name_(std::move(name)) {}
    nlohmann::json* keys_;
    nlohmann::json* all_roles_; ///< For finding out whether a key is used elsewhere.
    nlohmann::json* role_;
    std::string name_;
};

/// Adds and replaces `added`, removes `removed`. Errc::usage for what no client would take.
[[nodiscard]] Result<> change_targets(nlohmann::json& body, const std::vector<Target>& added,
                                      const std::vector<std::string>& removed);

/// The role that a prefix is delegated to: '/' becomes '~', which no name has and which needs no
/// escape in a file's name or a URL. Other roles' names stay as they are.
[[nodiscard]] std::string role_of_prefix(std::string prefix);
/// The role whose metadata says who signs for `role`: "root", or "targets" for a delegated one.
[[nodiscard]] std::string lister_of(const std::string& role);

/// Delegates, terminating, the artifacts whose name is `prefix` or begins with `prefix`/ to
/// role_of_prefix(), without keys; KeyList adds them. Errc::usage if there is one, or if the prefix
/// is no artifact's name.
[[nodiscard]] Result<> add_delegation(nlohmann::json& body, const std::string& prefix);
/// Errc::not_found if there is none.
[[nodiscard]] Result<> remove_delegation(nlohmann::json& body, const std::string& prefix);

/// What a new version of a role changes, a line each, for the person who is to sign it.
[[nodiscard]] std::vector<std::string> differences(const nlohmann::json& before,
                                                   const nlohmann::json& after);

} // namespace slipway::trust
