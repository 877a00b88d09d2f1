#pragma once

#include <functional>

#include <openssl/types.h>

namespace slipway::swarm {

/// Puts an established TLS connection of libtorrent's on a shorter way to its socket. Asio moves
/// every record through a pair of 17 KiB memory buffers, and libtorrent's blocks become two records
/// with a system call each; plain connections move 300 KB a call. This BIO stands between OpenSSL
/// and that pair:
/// - records are sent from OpenSSL's own buffer; what the socket does not take goes the old way, by
///   which Asio waits for it. The first half of a block waits for the second;
/// - reading takes what the socket has, up to 128 KiB a call, before Asio is asked to wait.
///
/// `socket` gives the descriptor, or -1 when it is closed. On libtorrent's thread, when no data is
/// under way: after a handshake message was read. Does nothing where OpenSSL refuses.
void shorten_way(SSL* connection, std::function<int()> socket);

/// Sends a first half whose second did not come. To be called now and then.
void flush_way(SSL* connection);

} // namespace slipway::swarm
