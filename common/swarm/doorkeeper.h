#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>

#include <libtorrent/fwd.hpp>

#include "common/swarm/tls_gate.h"

namespace slipway::swarm {

/// What the plugins of one session's SSL torrents share. Members without atomics are used on
/// libtorrent's thread only.
struct Door {
    std::atomic<std::uint16_t> port = 0; ///< Where the session accepts peers; 0: not yet known.
    std::multiset<std::string> peers;    ///< Those attached to a torrent: "192.0.2.1:4711".
};

/// A session plugin: closes accepted sockets that wait too long for their handshakes (half_open.h),
/// and lets the kernel keep connections on which nothing was sent (TCP_DEFER_ACCEPT).
[[nodiscard]] std::shared_ptr<lt::plugin> make_doorkeeper(std::shared_ptr<Door> door);

/// A torrent plugin: puts the gate into the torrent's TLS context, counts the torrent's peers into
/// `peers`, and disconnects those that were revoked since they came.
/// On libtorrent's thread; `installed` takes the result before the call returns.
[[nodiscard]] std::shared_ptr<lt::torrent_plugin>
make_gatekeeper(const lt::torrent_handle& torrent, const Gate& gate, std::shared_ptr<Door> door,
                std::shared_ptr<std::atomic<int>> peers, Result<>& installed);

} // namespace slipway::swarm
