#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace slipway::swarm {

/// An accepted socket of this process.
struct AcceptedSocket {
    int number = -1;  ///< File descriptor.
    std::string peer; ///< "192.0.2.1:4711"
};

/// Decides which accepted sockets have waited too long for their TLS and BitTorrent handshakes.
/// libtorrent gives a TLS handshake neither a time limit nor a number limit. Pure and not
/// thread-safe.
class HalfOpen {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::seconds patience{5}; ///< As libtorrent's own handshake_timeout.
    static constexpr std::size_t waiting_max = 256;

    /// `waiting`: all accepted sockets that belong to no peer yet. Gives those to close: the ones
    /// that were there `patience` ago, and the oldest beyond `waiting_max`.
    [[nodiscard]] std::vector<AcceptedSocket> overdue(const std::vector<AcceptedSocket>& waiting,
                                                      TimePoint now);

private:
    std::map<std::pair<int, std::string>, TimePoint> seen_; ///< Since when each one waits.
};

} // namespace slipway::swarm
