#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include <libtorrent/fwd.hpp>

#include "common/swarm/ledger.h"

namespace slipway::swarm {

/// A torrent plugin with two duties.
///
/// It keeps BEP 52's hash messages off every connection. In libtorrent 2.0.8 they are unsafe:
/// - a piece that fails makes it ask peers for block hashes; the HASH_REJECT that answers indexes
///   a vector of piece hashes with a block index, and corrupts the heap (mended upstream in
///   ca4e621c2);
/// - requests and proofs of peers are checked too little (mended in 5a06c6b9a and a6bd39eb0).
/// Slipway never needs these messages, because the whole piece layer comes with the metainfo. So
/// each connection is marked as one that does not speak them as soon as its handshake is done:
/// libtorrent then sends none, and closes a connection on which one arrives. A piece that fails
/// costs the sender a ban as with v1 torrents if it
/// sent the whole piece; else blame.h finds out who it was.
///
/// And it reports blocks, pieces and the fate of connections to the ledger.
///
/// Called on libtorrent's thread. `uploaded_bytes` counts payload sent.
[[nodiscard]] std::shared_ptr<lt::torrent_plugin>
make_hash_guard(std::shared_ptr<Ledger> ledger,
                std::shared_ptr<std::atomic<std::uint64_t>> uploaded_bytes);

} // namespace slipway::swarm
