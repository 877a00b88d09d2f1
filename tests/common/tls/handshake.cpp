#include "tests/common/tls/handshake.h"

#include <cassert>
#include <cstdlib>

#include "common/tls/openssl.h"
#include "common/tls/peer_check.h"

namespace slipway::tls {
namespace fs = std::filesystem;
namespace {

using ContextHandle = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using ConnectionHandle = std::unique_ptr<SSL, FreeWith<SSL_free>>;

std::string peer_text(SSL* connection) {
    const auto peer = peer_of(connection);
    return peer ? peer->text() : "";
}

Handshake run(SSL_CTX* server_context, SSL_CTX* client_context, std::string& client_refusal) {
    Handshake out;
    const ConnectionHandle server(SSL_new(server_context));
    const ConnectionHandle client(SSL_new(client_context));
    report_refusals_to(server.get(), &out.server_refusal);
    BIO* left = nullptr;
    BIO* right = nullptr;
    BIO_new_bio_pair(&left, 0, &right, 0);
    SSL_set_bio(server.get(), left, left);
    SSL_set_bio(client.get(), right, right);
    SSL_set_accept_state(server.get());
    SSL_set_connect_state(client.get());
    int server_done = 0;
    for (int round = 0; round < 10; ++round) {
        ERR_clear_error();
        SSL_do_handshake(client.get());
        ERR_clear_error();
        server_done = SSL_do_handshake(server.get());
    }
    ERR_clear_error();
    out.done = server_done == 1 && SSL_is_init_finished(client.get()) == 1;
    out.client_refusal = client_refusal;
    if (out.done) {
        out.server_peer = peer_text(server.get());
        out.client_peer = peer_text(client.get());
    }
    return out;
}

void must(const Result<>& result) {
    if (!result) {
        throw std::runtime_error(result.error().context);
    }
}

} // namespace

Fleet::Fleet(KeyAlgorithm algorithm) : algorithm_(algorithm) {
    auto pattern = (fs::temp_directory_path() / "slipway-tls.XXXXXX").string();
    home_ = ::mkdtemp(pattern.data());
    AuthorityRequest request;
    request.algorithm = algorithm;
    must(Authority::init(authority(), request, now()));
}

Fleet::~Fleet() {
    fs::remove_all(home_);
}

TlsFiles Fleet::issue(const std::string& identity, const std::string& name,
                      std::chrono::sys_seconds when) {
    IssueRequest request;
    request.identity = *Identity::parse_text(identity);
    request.addresses = {"127.0.0.1"};
    request.algorithm = algorithm_;
    request.out = home_ / name;
    must(Authority::open(authority())
             .and_then([&](Authority ca) { return ca.issue(request, when); })
             .map([](const Issued&) {}));
    return {request.out / "cert.pem", request.out / "key.pem", request.out / "ca.pem", {}};
}

void Fleet::revoke(const std::string& identity) {
    must(Authority::open(authority())
             .and_then(
                 [&](Authority ca) { return ca.revoke(identity, list_valid_by_default, now()); })
             .map([](const auto&) {}));
}

void Fleet::renew_list(std::chrono::sys_seconds when) {
    must(Authority::open(authority()).and_then([&](Authority ca) {
        return ca.renew_list(list_valid_by_default, when);
    }));
}

Handshake shake_hands(Credentials& server, Credentials& client) {
    const auto server_context = server.server_context();
    const ContextHandle client_context(SSL_CTX_new(TLS_client_method()));
    std::string refusal;
    must(client.prepare(client_context.get(), refusal));
    return run(server_context.get(), client_context.get(), refusal);
}

Handshake shake_hands_anonymously(Credentials& server, int tls_version_max) {
    const auto server_context = server.server_context();
    const ContextHandle client_context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_max_proto_version(client_context.get(), tls_version_max);
    std::string refusal;
    return run(server_context.get(), client_context.get(), refusal);
}

} // namespace slipway::tls
