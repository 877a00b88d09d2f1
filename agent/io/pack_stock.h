#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent/core/fetch_plan.h"
#include "agent/core/pack_quota.h"
#include "agent/io/host_layout.h"

namespace slipway::agent {

/// A pack in ROOT/packs, as far as it is on the disk.
struct StockedPack {
    PackId id;
    KeptPack kept;              ///< Its name, blocks on the disk, and when it was used.
    std::vector<Range> on_disk; ///< Where the file has blocks; nobody verified them.
};

/// The packs that have their metainfo beside them. What cannot be read is left out.
[[nodiscard]] std::vector<StockedPack> stocked_packs(const HostLayout& host);

/// Notes that the pack is needed now, for stocked_packs().
void note_used(const HostLayout& host, const PackId& id);

/// Names of the packs that the releases lead to which are current or previous, or are on the disk
/// and were never current: staged.
[[nodiscard]] std::set<std::string> pinned_packs(const HostLayout& host);

} // namespace slipway::agent
