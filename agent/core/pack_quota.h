#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace slipway::agent {

/// A pack that is kept on the disk.
struct KeptPack {
    std::string name;
    std::uint64_t bytes = 0;      ///< That it takes on the disk.
    std::int64_t used_unix_s = 0; ///< When it was last needed.
};

/// Names of the packs that must go: those that were last needed before `unused_since_unix_s`, and
/// as many more as it takes so that the others take `quota_bytes` at most (0: no quota), those that
/// were needed longest ago first, the larger of two of one time. Those in `pinned` (of releases
/// that are current, previous or staged, or in use) are never among them, even if the quota is not
/// kept then.
[[nodiscard]] std::vector<std::string> packs_to_evict(std::vector<KeptPack> packs,
                                                      const std::set<std::string>& pinned,
                                                      std::uint64_t quota_bytes,
                                                      std::int64_t unused_since_unix_s = INT64_MIN);

} // namespace slipway::agent
