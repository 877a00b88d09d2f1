#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "common/core/bytes.h"
#include "common/trust/client.h"
#include "seeder/io/push_store.h"

namespace slipway::seeder {

struct PushCommit {
    std::string publisher;
    Bytes timestamp; ///< The new timestamp.json, with which readers see the rest.
    trust::TimePoint now;
};

struct Committed {
    std::size_t targets = 0; ///< New or changed ones.
    std::size_t packs = 0;   ///< Put into the repository.
};

/// Puts what a publisher sent into the repository, if a client that knows the repository as it is
/// would follow the new metadata: signatures and thresholds, versions that grow, nothing expired,
/// and every target and pack that is new in it is there and right. A version's manifest never
/// changes.
///
/// Packs come first, then targets, root, delegated roles, targets and snapshot, and timestamp.json
/// last, each by a rename after a sync: a reader at any moment sees the old repository or the new
/// one. After a crash the same push can be committed again. Holds the repository's lock.
///
/// Errors, with nothing changed: Errc::verification_failed naming the file and the attack;
/// Errc::failed for a timestamp that is not newer (a replay, or another publisher was first), or
/// for files that were not sent; Errc::busy; the disk's.
[[nodiscard]] Result<Committed> commit_push(const PushStore& store, const PushCommit& push);

} // namespace slipway::seeder
