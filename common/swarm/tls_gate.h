#pragma once

#include <memory>
#include <optional>
#include <string>

#include <openssl/types.h>

#include "common/swarm/swarm_tls.h"

namespace slipway::swarm {

/// What a swarm's TLS context is to know.
struct Gate {
    std::shared_ptr<const SwarmTls> tls;
    Sha256Digest authority;
    std::string server_name; ///< By which peers ask for this swarm: 40 digits of the info-hash.
};

/// Makes the TLS context that libtorrent made for a torrent stricter. libtorrent alone accepts
/// TLS 1.2, any prefix of the torrent's name as a certificate's name, and revoked certificates;
/// and a peer that was let in once may resume its session after it was revoked. With the gate:
/// - TLS 1.3 only, and no resumption: every connection shows its certificate;
/// - a certificate of the authority itself, with the name `DNS:*`, that is not revoked at the
///   time of the handshake. What OpenSSL checks (signature, dates, usage) and what libtorrent
///   checks stays checked.
/// The certificate shown is the one that `tls` has at the time of the handshake.
/// A server that is no peer (the tracker, which libtorrent calls with this context too) is known by
/// its host name instead of `DNS:*`.
///
/// On libtorrent's thread, before the torrent has a connection. Error: the context is not that of
/// this authority.
[[nodiscard]] Result<> install_gate(SSL_CTX* context, Gate gate);

/// Why the other end of an established connection is not welcome any more.
[[nodiscard]] std::optional<std::string> refusal(SSL* connection, const Gate& gate);

} // namespace slipway::swarm
