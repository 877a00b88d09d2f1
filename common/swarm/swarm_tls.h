#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "common/swarm/membership.h"

namespace slipway::swarm {

/// The certificates that the swarms of a process work with at present. Replaced while they run:
/// handshakes from then on show the new certificate, and a connection to a host that is revoked
/// ends within a second or two. Thread-safe.
class SwarmTls {
public:
    [[nodiscard]] static Result<std::shared_ptr<SwarmTls>> make(const TlsMaterial& material,
                                                                WallTime now);

    /// What was there stays if the new material is refused. Which authorities there are is followed
    /// by PackSession::follow_authorities().
    [[nodiscard]] Result<> replace(const TlsMaterial& material, WallTime now);

    [[nodiscard]] std::vector<std::shared_ptr<const Membership>> all() const;
    /// The one to fetch with.
    [[nodiscard]] std::shared_ptr<const Membership> primary() const;
    /// Null if the authority is not trusted, or no longer.
    [[nodiscard]] std::shared_ptr<const Membership> find(const Sha256Digest& authority) const;
    [[nodiscard]] std::vector<std::string> warnings() const;
    /// Grows with each replace(), so that others notice it cheaply.
    [[nodiscard]] std::uint64_t generation() const { return generation_; }

private:
    mutable std::mutex mutex_;
    Memberships memberships_;
    std::atomic<std::uint64_t> generation_ = 1;
};

} // namespace slipway::swarm
