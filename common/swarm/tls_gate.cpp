#include "common/swarm/tls_gate.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "common/core/errc.h"

namespace slipway::swarm {
namespace {

// AES-128 first: it is a third cheaper than AES-256 and nobody breaks either.
constexpr const char* cipher_suites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

void free_gate(void* /*parent*/, void* gate, CRYPTO_EX_DATA* /*data*/, int /*index*/,
               long /*number*/, void* /*argument*/) {
    delete static_cast<Gate*>(gate);
}

// Connections outlive a torrent for a moment, and OpenSSL keeps the context alive as long as they.
int gate_index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_gate);
    return index;
}

std::string openssl_reason() {
    const auto code = ERR_get_error();
    ERR_clear_error();
    const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? "unknown reason" : reason;
}

// The tracker is called under its host name, a peer under the swarm's.
bool is_peer(SSL* connection, const Gate& gate) {
    if (SSL_is_server(connection) != 0) {
        return true;
    }
    const char* const name = SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name);
    return name != nullptr && gate.server_name == name;
}

// X509_V_OK, or why the member that OpenSSL found right is none.
int check_member(X509_STORE_CTX* verified, SSL* connection, const Gate& gate) {
    const auto membership = gate.tls->find(gate.authority);
    const auto* const certificate = X509_STORE_CTX_get0_cert(verified);
    auto* const chain = X509_STORE_CTX_get0_chain(verified);
    if (SSL_version(connection) != TLS1_3_VERSION || !membership) {
        return X509_V_ERR_APPLICATION_VERIFICATION;
    }
    if (sk_X509_num(chain) != 2 ||
        X509_cmp(sk_X509_value(chain, 1), membership->authority_certificate.get()) != 0) {
        return X509_V_ERR_CERT_UNTRUSTED;
    }
    if (is_peer(connection, gate) && !names_every_swarm(*certificate)) {
        return X509_V_ERR_HOSTNAME_MISMATCH;
    }
    if (membership->revocations_due.value_or(WallTime::max()) < std::chrono::system_clock::now()) {
        return X509_V_ERR_CRL_HAS_EXPIRED;
    }
    return is_revoked(*membership, *certificate) ? X509_V_ERR_CERT_REVOKED : X509_V_OK;
}

// Called by OpenSSL in place of X509_verify_cert(3).
int verify(X509_STORE_CTX* store, void* argument) {
    const auto& gate = *static_cast<const Gate*>(argument);
    auto* const connection =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    // A server's tickets are made by the session's context, which is not ours to set.
    SSL_set_num_tickets(connection, 0);
    if (is_peer(connection, gate)) {
        // libtorrent's own check of names compares prefixes, is covered by check_member(), and
        // leaks the names of each certificate.
        X509_STORE_CTX_set_verify_cb(store, [](int is_good, X509_STORE_CTX*) { return is_good; });
    }
    if (X509_verify_cert(store) != 1) {
        return 0;
    }
    const int verdict = check_member(store, connection, gate);
    X509_STORE_CTX_set_error(store, verdict);
    return verdict == X509_V_OK ? 1 : 0;
}

// Called by OpenSSL in each handshake, before it needs a certificate of this end.
int show_certificate(SSL* connection, void* argument) {
    const auto& gate = *static_cast<const Gate*>(argument);
    const auto membership = gate.tls->find(gate.authority);
    if (!membership) {
        return 0;
    }
    SSL_certs_clear(connection);
    return SSL_use_cert_and_key(connection, membership->certificate.get(), membership->key.get(),
                                nullptr, 1);
}

// That the context is the one we think it is: libtorrent put the authority there.
bool trusts_only(SSL_CTX* context, const Membership& membership) {
    const auto* const trusted = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
    if (sk_X509_OBJECT_num(trusted) != 1) {
        return false;
    }
    const auto* const certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(trusted, 0));
    return certificate != nullptr &&
           X509_cmp(certificate, membership.authority_certificate.get()) == 0;
}

} // namespace

Result<> install_gate(SSL_CTX* context, Gate gate) {
    const auto membership = gate.tls->find(gate.authority);
    if (context == nullptr || !membership || !trusts_only(context, *membership)) {
        return fail(Errc::failed, "TLS of a swarm: libtorrent gave another context than expected");
    }
    ERR_clear_error();
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context, cipher_suites) != 1) {
        return fail(Errc::failed, "TLS of a swarm: " + openssl_reason());
    }
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    auto owned = std::make_unique<Gate>(std::move(gate));
    SSL_CTX_set_cert_verify_callback(context, verify, owned.get());
    if (SSL_CTX_set_ex_data(context, gate_index(), owned.get()) != 1) {
        SSL_CTX_set_cert_verify_callback(context, nullptr, nullptr);
        return fail(Errc::failed, "TLS of a swarm: " + openssl_reason());
    }
    SSL_CTX_set_cert_cb(context, show_certificate, owned.get());
    static_cast<void>(owned.release()); // free_gate() has it.
    return {};
}

std::optional<std::string> refusal(SSL* connection, const Gate& gate) {
    const auto membership = gate.tls->find(gate.authority);
    if (!membership) {
        return "its authority is not trusted any more";
    }
    const std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(connection),
                                                             X509_free);
    if (!certificate) {
        return "it has no certificate";
    }
    if (is_revoked(*membership, *certificate)) {
        return "its certificate " + describe_certificate(*certificate) + " is revoked";
    }
    return std::nullopt;
}

} // namespace slipway::swarm
