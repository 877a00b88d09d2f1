#include "common/swarm/swarm_tls.h"

#include <algorithm>

namespace slipway::swarm {

Result<std::shared_ptr<SwarmTls>> SwarmTls::make(const TlsMaterial& material, WallTime now) {
    auto tls = std::make_shared<SwarmTls>();
    return tls->replace(material, now).map([&] { return tls; });
}

Result<> SwarmTls::replace(const TlsMaterial& material, WallTime now) {
    return parse_memberships(material, now).map([this](Memberships memberships) {
        const std::lock_guard lock(mutex_);
        memberships_ = std::move(memberships);
        ++generation_;
    });
}

std::vector<std::shared_ptr<const Membership>> SwarmTls::all() const {
    const std::lock_guard lock(mutex_);
    return memberships_.all;
}

std::shared_ptr<const Membership> SwarmTls::primary() const {
    const std::lock_guard lock(mutex_);
    return memberships_.all.front();
}

std::shared_ptr<const Membership> SwarmTls::find(const Sha256Digest& authority) const {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find_if(
        memberships_.all, [&](const auto& one) { return one->authority == authority; });
    return found == memberships_.all.end() ? nullptr : *found;
}

std::vector<std::string> SwarmTls::warnings() const {
    const std::lock_guard lock(mutex_);
    return memberships_.warnings;
}

} // namespace slipway::swarm
