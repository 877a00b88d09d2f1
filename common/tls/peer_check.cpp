#include "common/tls/peer_check.h"

#include <array>
#include <vector>

#include "common/core/errc.h"
#include "common/tls/openssl.h"

namespace slipway::tls {
namespace {

constexpr int uris_max = 64;
constexpr int chain_depth_max = 5;

int context_slot() {
    static const int slot = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return slot;
}

int connection_slot() {
    static const int slot = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return slot;
}

void report(X509_STORE_CTX* check, const std::string& reason) {
    auto* const connection =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* sink = static_cast<std::string*>(SSL_get_ex_data(connection, connection_slot()));
    if (sink == nullptr) {
        sink = static_cast<std::string*>(
            SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), context_slot()));
    }
    if (sink != nullptr) {
        *sink = reason;
    }
}

std::string one_line(const X509_NAME* name) {
    const BioHandle bio(BIO_new(BIO_s_mem()));
    // RFC 2253 escapes control bytes.
    if (!bio || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0) {
        return "?";
    }
    return contents_of(bio.get()).substr(0, 200);
}

std::string who(X509* certificate) {
    if (const auto identity = identity_of(certificate)) {
        return identity->text();
    }
    return "'" + one_line(X509_get_subject_name(certificate)) + "'";
}

std::string advice(int error) {
    switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return "; its chain does not lead to the authority in --tls-ca";
    case X509_V_ERR_UNABLE_TO_GET_CRL:
        return "; --tls-crl has no revocation list of the authority that issued it";
    case X509_V_ERR_CRL_HAS_EXPIRED:
        return "; nobody is let in until --tls-crl is renewed (`slipway ca crl` writes one)";
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "; issue a new one, or set this machine's clock";
    default:
        return "";
    }
}

std::string chain_refusal(X509_STORE_CTX* check) {
    const int error = X509_STORE_CTX_get_error(check);
    auto* const leaf = X509_STORE_CTX_get0_cert(check);
    auto* const at = X509_STORE_CTX_get_current_cert(check);
    std::string reason =
        "the certificate of " + (leaf != nullptr ? who(leaf) : "?") + " is refused";
    if (at != nullptr && leaf != nullptr && X509_cmp(at, leaf) != 0) {
        reason += " for that of its issuer '" + one_line(X509_get_subject_name(at)) + "'";
    }
    return reason + ": " + X509_verify_cert_error_string(error) + advice(error);
}

int refuse(X509_STORE_CTX* check, const std::string& reason) {
    report(check, reason);
    X509_STORE_CTX_set_error(check, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

enum class Expected { anyone, server, orchestrator };

int check_peer(X509_STORE_CTX* check, Expected expected) {
    if (X509_verify_cert(check) != 1) {
        report(check, chain_refusal(check));
        return 0;
    }
    const auto identity = identity_of(X509_STORE_CTX_get0_cert(check));
    if (!identity) {
        return refuse(check, identity.error().context);
    }
    if (expected == Expected::orchestrator && identity->role != Role::orchestrator) {
        return refuse(check, "the server shows the certificate of " + identity->text() +
                                 ", which is no orchestrator: a host takes orders from no other");
    }
    if (expected == Expected::server && identity->role != Role::seeder &&
        identity->role != Role::orchestrator) {
        return refuse(check, "the server shows the certificate of " + identity->text() +
                                 ", which is no seeder: someone who holds that key answers in a "
                                 "seeder's place");
    }
    return 1;
}

int check_client_peer(X509_STORE_CTX* check, void* /*unused*/) {
    return check_peer(check, Expected::anyone);
}

int check_server_peer(X509_STORE_CTX* check, void* /*unused*/) {
    return check_peer(check, Expected::server);
}

int check_orchestrator_peer(X509_STORE_CTX* check, void* /*unused*/) {
    return check_peer(check, Expected::orchestrator);
}

void make_strict(SSL_CTX* context) {
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify_depth(context, chain_depth_max);
}

} // namespace

Result<Identity> identity_of(x509_st* certificate) {
    const NamesHandle names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    std::vector<std::string> uris;
    const int count = names ? sk_GENERAL_NAME_num(names.get()) : 0;
    for (int i = 0; i < count; ++i) {
        int kind = 0;
        const auto* const value = static_cast<const ASN1_STRING*>(
            GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &kind));
        if (kind != GEN_URI) {
            continue;
        }
        if (uris.size() == uris_max) {
            return fail(Errc::verification_failed,
                        "the certificate has over " + std::to_string(uris_max) + " URIs");
        }
        uris.emplace_back(as_text(
            {ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value))}));
    }
    return identity_from_uris(uris);
}

void check_clients(ssl_ctx_st* context) {
    make_strict(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_cert_verify_callback(context, check_client_peer, nullptr);
}

void check_server(ssl_ctx_st* context) {
    make_strict(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_cert_verify_callback(context, check_server_peer, nullptr);
}

void check_orchestrator(ssl_ctx_st* context) {
    check_server(context);
    SSL_CTX_set_cert_verify_callback(context, check_orchestrator_peer, nullptr);
}

void report_refusals_to(ssl_ctx_st* context, std::string* reason) {
    SSL_CTX_set_ex_data(context, context_slot(), reason);
}

void report_refusals_to(ssl_st* connection, std::string* reason) {
    SSL_set_ex_data(connection, connection_slot(), reason);
}

Result<Identity> peer_of(ssl_st* connection) {
    auto* const certificate = SSL_get0_peer_certificate(connection);
    if (certificate == nullptr) {
        return fail(Errc::verification_failed, "the peer showed no certificate");
    }
    return identity_of(certificate);
}

} // namespace slipway::tls
