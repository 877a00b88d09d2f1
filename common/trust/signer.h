#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/core/result.h"
#include "common/trust/client.h"
#include "common/trust/key_directory.h"
#include "common/trust/repository_editor.h"

namespace slipway::trust {

/// How `init_repository` makes keys.
struct NewKeys {
    KeyKind kind = KeyKind::ed25519;
    std::string passphrase; ///< Empty: the files are not encrypted.
};

/// Makes a key for each of the four roles in `keys` (mode 0700, files 0600) and the first metadata
/// in `repository`/metadata. Fails with Errc::failed if either exists already, changing nothing.
[[nodiscard]] Result<> init_repository(const std::filesystem::path& repository,
                                       const std::filesystem::path& keys, TimePoint now,
                                       const NewKeys& new_keys = {}, Validity validity = {});

/// Adds or replaces `added` and removes `removed`, in the delegated role that covers all of them
/// and of which a key is here, else in targets; then settles (RepositoryEditor). What waits for
/// other holders is in the outcome. Errors: Errc::not_found if no key for it is here; Errc::busy if
/// an earlier change of the role waits for signatures; Errc::failed if the keys here are not the
/// role's; Errc::usage for targets that no client would take. The caller holds the lock.
[[nodiscard]] Result<Outcome> publish_targets(const std::filesystem::path& repository,
                                              const KeyDirectory& keys,
                                              const std::vector<Target>& added,
                                              const std::vector<std::string>& removed,
                                              TimePoint now, Validity validity = {});

struct Renewal {
    bool written = false;
    std::map<std::string, std::chrono::sys_seconds> expires; ///< Of the four roles, afterwards.
};

/// When the metadata of `repository` expires; nothing is signed, no lock is needed.
[[nodiscard]] Result<Renewal> watch_expiry(const std::filesystem::path& repository);

/// Signs timestamp and snapshot anew when less than half of their validity is left. The caller
/// holds the lock.
[[nodiscard]] Result<Renewal> renew(const std::filesystem::path& repository,
                                    const KeyDirectory& keys, TimePoint now,
                                    Validity validity = {});

/// A change of who may sign for a role.
struct KeyChange {
    std::vector<PublicKey> add;
    std::vector<std::string> remove; ///< Ids, or their first digits.
    std::optional<std::uint64_t> threshold;
};

/// Changes the keys of a role of the root, or of a delegated one, in the editor's draft. Errors:
/// those of KeyList.
[[nodiscard]] Result<> change_keys(RepositoryEditor& editor, const std::string& role,
                                   const KeyChange& change);
/// Delegates `prefix` to those keys, or takes it back: what that role published is then no longer
/// found.
[[nodiscard]] Result<> delegate(RepositoryEditor& editor, const std::string& prefix,
                                const KeyChange& change);
[[nodiscard]] Result<> undelegate(RepositoryEditor& editor, const std::string& prefix);

} // namespace slipway::trust
