#pragma once

#include <string>

#include "common/core/identity.h"
#include "common/core/result.h"

struct ssl_st;     // OpenSSL's SSL.
struct ssl_ctx_st; // OpenSSL's SSL_CTX.
struct x509_st;    // OpenSSL's X509.

namespace slipway::tls {

/// The identity that a certificate names (common/core/identity.h).
/// Error: Errc::verification_failed.
[[nodiscard]] Result<Identity> identity_of(x509_st* certificate);

/// Makes the context a server's or a client's: TLS 1.3 only, no resumption (a resumed session would
/// skip the revocation list), and the peer's certificate is verified in the handshake, before any
/// byte of the application: its chain, validity, purpose and revocation, then its identity. A
/// server takes every identity (the role decides request by request); a client wants a seeder or
/// an orchestrator at the other end.
void check_clients(ssl_ctx_st* context);
void check_server(ssl_ctx_st* context);
/// As check_server(), but for an orchestrator and nobody else: who gives orders to a host.
void check_orchestrator(ssl_ctx_st* context);

/// Where the reason of a refusal is written, for all connections of a context or for one of them.
/// The string must outlive the handshakes.
void report_refusals_to(ssl_ctx_st* context, std::string* reason);
void report_refusals_to(ssl_st* connection, std::string* reason);

/// Who is at the other end of a connection whose handshake is done.
[[nodiscard]] Result<Identity> peer_of(ssl_st* connection);

} // namespace slipway::tls
