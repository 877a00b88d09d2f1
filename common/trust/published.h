#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "common/trust/key_directory.h"
#include "common/trust/metadata.h"
#include "common/trust/workflow.h"

namespace slipway::trust {

/// A role's file as it is in the repository, verified.
struct PublishedRole {
    Envelope file;
    Header header;
};

/// All metadata of a repository on this machine, verified as a client does, expired or not.
struct Published {
    Root root;
    PublishedRole root_file;
    PublishedRole timestamp;
    PublishedRole snapshot;
    PublishedRole targets;
    Targets top; ///< `targets`, parsed.
    /// Those that the targets delegate to.
    std::map<std::string, PublishedRole> delegated;

    /// The file of a role, or nullptr.
    [[nodiscard]] const PublishedRole* find(const std::string& role) const;
    /// The version of a targets file that the snapshot lists, of a role that nobody delegates to
    /// any more too; 0 if it lists none.
    [[nodiscard]] std::uint64_t listed_version(const std::string& role) const;
};

/// Reads and verifies `repository`. Whoever can write into a repository can put a root of their own
/// there, so the chain of roots begins with the one that `keys` keeps (root.json); if it keeps
/// none, the repository's first root is taken and kept from then on. The newest verified one is
/// kept.
///
/// A change of keys that was killed between its root and its timestamp is finished on the way
/// (see RepositoryEditor). The caller holds the repository's lock.
///
/// Errors: Errc::not_found if there is no repository, Errc::verification_failed naming the file.
[[nodiscard]] Result<Published> read_published(const std::filesystem::path& repository,
                                               const KeyDirectory& keys);

/// Whether the signatures of `file` meet the threshold.
[[nodiscard]] bool meets(const Authority& authority, const Envelope& file);

/// Keys of the authority that signed `file` validly.
[[nodiscard]] std::vector<std::string> signers(const Authority& authority, const Envelope& file);

/// The delegation of that name, or nullptr.
[[nodiscard]] const Delegation* find_delegation(const Targets& targets, const std::string& role);

/// Changes that wait for signatures, beside the metadata.
[[nodiscard]] std::filesystem::path staged_directory(const std::filesystem::path& repository);

/// "N.<role, escaped>.json"
[[nodiscard]] std::string versioned_name(const std::string& role, std::uint64_t version);

} // namespace slipway::trust
