#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/swarm/ledger.h"
#include "common/swarm/pack_session.h"

namespace slipway::swarm {

/// Where a session stands in one of its swarms, for a tracker that assigns peers.
struct Standing {
    std::string swarm; ///< 40 digits, as it goes over the wire.
    std::uint64_t lacks = 0;
    bool starving = false;        ///< It lacks something, and nothing came for a second.
    std::vector<std::string> bad; ///< "ip:port" of peers that stand still or were banned.
};

/// The swarms of a session as another thread sees them, and the way by which it brings assigned
/// peers to them. Thread-safe.
class Assignments {
public:
    using Connect = std::function<void(const std::vector<PeerAddress>&)>;

    Assignments() = default;
    Assignments(const Assignments&) = delete;
    Assignments& operator=(const Assignments&) = delete;

    /// Called by the session. `connect` may be called from any thread until the swarm is left.
    void enter(const std::string& swarm, std::shared_ptr<Ledger> ledger, Connect connect);
    void leave(const std::string& swarm);
    /// What a swarm wants changed.
    void touch();

    [[nodiscard]] std::vector<Standing> standings() const;
    /// Whether a swarm is starving, or a peer of one stands still.
    [[nodiscard]] bool trouble() const;
    /// Connects to peers of a swarm; one that was left meanwhile: no effect.
    void connect(const std::string& swarm, const std::vector<PeerAddress>& peers) const;
    /// Called when a swarm is entered, left, completed or wants something else; from any thread,
    /// and must not call back. Empty: nobody listens.
    void on_change(std::function<void()> listener);

private:
    struct Entry {
        std::shared_ptr<Ledger> ledger;
        Connect connect;
    };
    mutable std::mutex mutex_;
    std::map<std::string, Entry> swarms_;
    std::mutex listener_mutex_;
    std::function<void()> listener_;
};

} // namespace slipway::swarm
