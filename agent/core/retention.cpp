#include "agent/core/retention.h"

#include <algorithm>
#include <ranges>
#include <tuple>

namespace slipway::agent {

std::set<ReleaseId> releases_to_keep(const History& history,
                                     const std::vector<InstalledRelease>& installed,
                                     std::size_t keep_more, const std::vector<ReleaseId>& also) {
    std::set<ReleaseId> keep(also.begin(), also.end());
    if (const auto current = history.current()) {
        keep.insert(*current);
    }
    if (const auto previous = history.previous()) {
        keep.insert(*previous);
    }
    const auto keep_one_more = [&](const ReleaseId& id) {
        if (keep_more > 0 && keep.insert(id).second) {
            --keep_more;
        }
    };
    for (const auto& activation : std::views::reverse(history.activations)) {
        keep_one_more(activation.release);
    }
    auto newest_first = installed;
    std::ranges::sort(newest_first, [](const auto& left, const auto& right) {
        return std::tie(left.installed_at, left.id) > std::tie(right.installed_at, right.id);
    });
    for (const auto& release : newest_first) {
        keep_one_more(release.id);
    }
    return keep;
}

} // namespace slipway::agent
