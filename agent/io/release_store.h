#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/core/history.h"
#include "agent/core/release_record.h"
#include "agent/io/file_ops.h"
#include "agent/io/host_layout.h"

namespace slipway::agent {

/// The releases of one service on this host: which are there, which is current, and the moves
/// between them.
///
/// Guarantee: at every instant, and after a crash at any instant, `current` names a whole release
/// or, before the first install, is missing. It rests on rename(2), which replaces a name
/// atomically, and on fsync(2) of the directory, which makes a new name durable. A release is whole
/// when its tree and its record are in place; the tree comes last, by one rename, after its content
/// was synced.
///
/// Not thread-safe. Calls that change anything need the service's lock; the others do not.
class ReleaseStore {
public:
    /// `files` must outlive the store.
    ReleaseStore(FileOps& files, ServicePaths paths);

    [[nodiscard]] const ServicePaths& paths() const { return paths_; }

    /// The release that `current` names; none before the first install. Errc::failed if `current`
    /// is not a symlink to a release.
    [[nodiscard]] Result<std::optional<ReleaseId>> current() const;
    [[nodiscard]] bool is_whole(const ReleaseId& id) const;
    /// Every whole release, by id. One whose record cannot be read is left out.
    [[nodiscard]] Result<std::vector<ReleaseRecord>> installed() const;
    [[nodiscard]] Result<ReleaseRecord> record(const ReleaseId& id) const;

    /// The history as it is after recovery; changes nothing.
    [[nodiscard]] Result<History> history(const std::string& now) const;
    /// Finishes or undoes what a killed run began, and removes what it left behind: temporary
    /// names, staging, records without a release. `now` is RFC 3339. Idempotent. On a full disk
    /// what it writes comes out of the spare blocks.
    [[nodiscard]] Result<History> recover(const std::string& now);

    /// Moves a staged tree and its record in place and makes the tree's top directory read-only.
    /// Both must be synced already. After it the release is whole. A release of this id that proved
    /// damaged is exchanged for the new one, current or not; the damaged one is left in staging.
    [[nodiscard]] Result<> adopt(const ReleaseId& id, const std::filesystem::path& tree,
                                 const std::filesystem::path& record);
    /// Switches to the last of `after`, which must be whole. `before` is what recover() gave.
    [[nodiscard]] Result<> activate(const History& before, const std::vector<Activation>& after);
    /// Removes a release that is not current. It becomes invisible by one rename first.
    [[nodiscard]] Result<> remove(const ReleaseId& id);
    /// What recover() would remove.
    [[nodiscard]] std::vector<std::filesystem::path> leftovers() const;

private:
    [[nodiscard]] Result<History> load() const;
    [[nodiscard]] Result<> write(const History& history);
    [[nodiscard]] Result<> put(const History& history);
    [[nodiscard]] Result<> make_read_only(const ReleaseId& id);
    /// `change`, and once more with the spare blocks given up if the disk was full.
    template <typename Change>
    [[nodiscard]] Result<> with_spare(Change change);
    [[nodiscard]] Result<> place(const std::filesystem::path& staged,
                                 const std::filesystem::path& at);
    [[nodiscard]] Result<> point(const std::filesystem::path& link, const ReleaseId& to);
    [[nodiscard]] Result<> point_previous(const History& history);

    FileOps& files_;
    ServicePaths paths_;
};

} // namespace slipway::agent
