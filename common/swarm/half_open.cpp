#include "common/swarm/half_open.h"

#include <algorithm>

namespace slipway::swarm {

std::vector<AcceptedSocket> HalfOpen::overdue(const std::vector<AcceptedSocket>& waiting,
                                              TimePoint now) {
    std::map<std::pair<int, std::string>, TimePoint> seen;
    std::vector<std::pair<TimePoint, AcceptedSocket>> by_age;
    for (const auto& socket : waiting) {
        const auto known = seen_.find({socket.number, socket.peer});
        const auto since = known == seen_.end() ? now : known->second;
        seen.emplace(std::pair(socket.number, socket.peer), since);
        by_age.emplace_back(since, socket);
    }
    seen_ = std::move(seen);
    std::ranges::stable_sort(by_age, {}, [](const auto& one) { return one.first; });
    const auto too_many = by_age.size() - std::min(by_age.size(), waiting_max);
    std::vector<AcceptedSocket> result;
    for (std::size_t i = 0; i < by_age.size(); ++i) {
        if (i < too_many || now - by_age[i].first >= patience) {
            result.push_back(by_age[i].second);
        }
    }
    return result;
}

} // namespace slipway::swarm
