#pragma once

#include <memory>

#include <libtorrent/fwd.hpp>

#include "common/swarm/ledger.h"

namespace slipway::swarm {

/// How a source and an agent know each other: the first bytes of the peer id in the handshake
/// (BEP 20). Nothing depends on it being true: who lies gets what any peer gets.
inline constexpr const char* source_fingerprint = "-SS0100-";
inline constexpr const char* agent_fingerprint = "-SA0100-";

/// Connections that look whether there is something to say: once a second, as libtorrent ticks, and
/// when they are asked to. Used on libtorrent's thread.
struct SpreadTicks;
[[nodiscard]] std::shared_ptr<SpreadTicks> make_spread_ticks();
[[nodiscard]] std::shared_ptr<lt::plugin> make_spread_ticker(std::shared_ptr<SpreadTicks> ticks);
/// Has them look soon, on libtorrent's thread. Called from any other; `torrent` is of the session.
void look_soon(lt::torrent_handle torrent, std::shared_ptr<SpreadTicks> ticks);

/// Of a source's torrent. An agent says what it wants (a message of BEP 10, `sl_wants`: a bitfield
/// of the pieces that it lacks and asked for), and is then shown pieces as Spread decides, by HAVE
/// messages. Other clients see a seed.
[[nodiscard]] std::shared_ptr<lt::torrent_plugin>
make_spreading_source(std::size_t pieces, std::shared_ptr<SpreadTicks> ticks);

/// Of an agent's torrent: takes no notice of a source that says it has everything, tells it what
/// is wanted, again whenever that changes, and waits to be shown pieces.
[[nodiscard]] std::shared_ptr<lt::torrent_plugin>
make_spread_receiver(std::shared_ptr<Ledger> ledger, std::shared_ptr<SpreadTicks> ticks);

} // namespace slipway::swarm
