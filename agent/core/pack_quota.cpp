#include "agent/core/pack_quota.h"

#include <algorithm>
#include <tuple>

namespace slipway::agent {

std::vector<std::string> packs_to_evict(std::vector<KeptPack> packs,
                                        const std::set<std::string>& pinned,
                                        std::uint64_t quota_bytes,
                                        std::int64_t unused_since_unix_s) {
    std::uint64_t kept = 0;
    for (const auto& pack : packs) {
        kept += pack.bytes;
    }
    std::ranges::sort(packs, [](const KeptPack& a, const KeptPack& b) {
        return std::tie(a.used_unix_s, b.bytes, a.name) < std::tie(b.used_unix_s, a.bytes, b.name);
    });
    std::vector<std::string> evicted;
    for (const auto& pack : packs) {
        if ((quota_bytes == 0 || kept <= quota_bytes) && pack.used_unix_s >= unused_since_unix_s) {
            break;
        }
        if (!pinned.contains(pack.name)) {
            kept -= pack.bytes;
            evicted.push_back(pack.name);
        }
    }
    return evicted;
}

} // namespace slipway::agent
