#pragma once

#include <libtorrent/fwd.hpp>
#include <libtorrent/session_params.hpp>

#include "common/swarm/pack_session.h"

namespace slipway::swarm {

/// Settings of a session for private swarms of TCP peers: no discovery of any kind beside trackers
/// and named peers, few upload slots, short waits.
[[nodiscard]] lt::session_params session_params(const SessionOptions& options);

/// Puts every peer into the global peer class. Else peers with private or loopback addresses, which
/// is to say the fleet, escape upload slots and rate limits.
void limit_all_peers(lt::session& session);

/// Other limits for a session that runs; 0: none. Thread-safe, as the session is.
void set_rates(lt::session& session, std::uint64_t upload_bytes_per_s_max,
               std::uint64_t download_bytes_per_s_max);

} // namespace slipway::swarm
