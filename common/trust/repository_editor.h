#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/trust/client.h"
#include "common/trust/published.h"

namespace slipway::trust {

/// How long each role's metadata is valid after signing. Delegated roles are as targets.
struct Validity {
    std::chrono::days root{365};
    std::chrono::days targets{365};
    std::chrono::days snapshot{30};
    std::chrono::days timestamp{7};
};

/// Signatures that a role lacks.
struct Waiting {
    std::string role;
    std::string under; ///< Whose threshold: "root version 2", "the delegation by targets".
    std::uint64_t threshold = 1;
    std::vector<std::string> signed_by; ///< Key ids.
    std::vector<std::string> missing;   ///< Key ids that could sign.
};

/// What became of a change.
struct Outcome {
    std::vector<std::string> published; ///< Names of the files that were written, in that order.
    std::vector<Waiting> waiting;       ///< What is staged and for whom; empty if all is published.
};

/// Changes the metadata of a repository on this machine. A change is a draft of a role's next
/// version. settle() signs with the keys at hand and publishes what is whole: a root together with
/// the roles that it gives other keys, targets together with the roles that they delegate to, and
/// snapshot and timestamp over them. What lacks signatures is written to `staged/<role>.json` in
/// the repository, with those that it has; the next holder's settle() goes on from there.
///
/// Guarantee: a reader at any moment, and after a kill at any moment, sees a consistent repository.
/// Files appear in the order delegated roles, targets, snapshot, timestamp, root, each by a rename
/// after it was synced. When a root takes keys away, what was signed with them is signed with the
/// old keys and the new ones first, so that readers before and after the root accept it. Only when
/// the old keys are not at hand (lost, or in other hands) the root comes before the timestamp, and
/// readers in between keep what they have; if the process is killed there, opening the repository
/// finishes it.
///
/// Blocking; not thread-safe; the caller holds the repository's lock.
class RepositoryEditor {
public:
    /// Errors: those of read_published(); Errc::verification_failed for a staged file that no key
    /// of its role signed. A staged file that the repository has overtaken is removed.
    [[nodiscard]] static Result<RepositoryEditor> open(std::filesystem::path repository,
                                                       KeyDirectory keys, TimePoint now,
                                                       Validity validity = {});

    [[nodiscard]] const Published& published() const { return published_; }
    [[nodiscard]] const KeyDirectory& keys() const { return keys_; }
    /// Roles whose next version is drafted, with its body.
    [[nodiscard]] std::map<std::string, nlohmann::json> drafts() const;
    [[nodiscard]] bool has_draft(const std::string& role) const { return drafts_.contains(role); }

    /// The body of the role's next version, for changing. One that is staged already is changed
    /// further if a key of this holder signed it; the signatures of the others are dropped.
    /// Errc::busy if others' change is staged.
    [[nodiscard]] Result<nlohmann::json*> change(const std::string& role);
    /// Forgets the role's draft, staged or not.
    [[nodiscard]] Result<> discard(const std::string& role);

    enum class Staged { leave, sign };
    /// `sign` adds this holder's signatures to what others staged. The editor is used up then.
    /// Errors: Errc::failed if a draft is no valid metadata, those of keys and of the disk.
    [[nodiscard]] Result<Outcome> settle(Staged staged);
    /// Signs snapshot (if asked to) and timestamp anew and leaves all that is staged as it is.
    /// Errc::failed if the keys for it are not here.
    [[nodiscard]] Result<Outcome> renew(bool snapshot);

private:
    struct Draft {
        Envelope file;
        bool ours = false; ///< Made or changed by this editor.
    };
    struct NewFile {
        std::string role;
        std::uint64_t version = 0;
        Bytes bytes;
    };
    /// Files to publish together.
    struct Plan {
        bool with_root = false;
        bool seamless = true; ///< Readers with the old root accept all files too.
        bool blocked = false;
        std::vector<NewFile> files; ///< In the order of publishing; the timestamp is the last.
        std::vector<Waiting> waiting;
    };
    struct Rule {
        Authority authority;
        std::string under;
    };

    RepositoryEditor(std::filesystem::path repository, KeyDirectory keys,
                     std::chrono::sys_seconds now, Validity validity, Published published)
        : repository_(std::move(repository)), keys_(std::move(keys)), now_(now),
          validity_(validity), published_(std::move(published)) {}

    [[nodiscard]] Result<> load_staged();
    [[nodiscard]] Result<> load_staged(const std::string& role, const std::vector<Authority>& by);
    [[nodiscard]] Draft next_version(const std::string& role) const;
    [[nodiscard]] std::chrono::sys_seconds expiry_of(const std::string& role) const;
    [[nodiscard]] Result<const std::vector<KeyDirectory::Held>*> held(const std::string& role);
    [[nodiscard]] Result<bool> is_ours(const std::string& role, const Envelope& file);

    [[nodiscard]] Result<Plan> make_plan(bool with_root, bool with_targets);
    [[nodiscard]] Result<> plan_root(Plan& plan);
    [[nodiscard]] Result<> plan_targets(Plan& plan, bool with_targets, const Root& next);
    [[nodiscard]] Result<> plan_delegated(Plan& plan, const Targets& top);
    [[nodiscard]] Result<> plan_snapshot(Plan& plan, const Root& next);
    [[nodiscard]] Result<> plan_timestamp(Plan& plan, const Root& next);
    [[nodiscard]] Result<> plan_online(Plan& plan, const std::string& role, Draft wanted,
                                       const Root& next);
    [[nodiscard]] Result<> sign(const std::string& role, Draft& draft,
                                const std::vector<Rule>& rules);
    [[nodiscard]] Result<> add(Plan& plan, const std::string& role, const Draft& draft) const;

    [[nodiscard]] Result<Outcome> carry_out(const Plan& plan, std::vector<Waiting> waiting);
    [[nodiscard]] Result<> stage(const Plan& plan) const;
    [[nodiscard]] Result<> publish(const Plan& plan, Outcome& outcome) const;
    void clean_up(const Plan& plan);

    std::filesystem::path repository_;
    KeyDirectory keys_;
    std::chrono::sys_seconds now_;
    Validity validity_;
    Published published_;
    std::optional<Root> next_root_; ///< The drafted one.
    std::map<std::string, Draft> drafts_;
    std::map<std::string, std::vector<KeyDirectory::Held>> held_; ///< By role, as they were needed.
    Staged staged_ = Staged::leave;
    bool force_snapshot_ = false;
    bool force_timestamp_ = false;
};

} // namespace slipway::trust
