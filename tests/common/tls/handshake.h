#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "common/tls/authority.h"
#include "common/tls/credentials.h"

namespace slipway::tls {

inline std::chrono::sys_seconds now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

/// A fleet's authority and parties in a temporary directory.
class Fleet {
public:
    explicit Fleet(KeyAlgorithm algorithm = KeyAlgorithm::p256);
    ~Fleet();
    Fleet(const Fleet&) = delete;
    Fleet& operator=(const Fleet&) = delete;

    /// Issues to home()/`name` and gives the flags of that party.
    TlsFiles issue(const std::string& identity, const std::string& name,
                   std::chrono::sys_seconds when = now());
    void revoke(const std::string& identity);
    void renew_list(std::chrono::sys_seconds when);
    [[nodiscard]] const std::filesystem::path& home() const { return home_; }
    [[nodiscard]] std::filesystem::path authority() const { return home_ / "ca"; }

private:
    std::filesystem::path home_;
    KeyAlgorithm algorithm_;
};

/// What came of a handshake in memory, without sockets.
struct Handshake {
    bool done = false;
    std::string server_refusal; ///< The server's reason against the client.
    std::string client_refusal; ///< The client's against the server.
    std::string client_peer;    ///< Who each side talks to.
    std::string server_peer;
};
Handshake shake_hands(Credentials& server, Credentials& client);
/// With a client that shows no certificate and checks nothing, limited to a TLS version if not 0.
Handshake shake_hands_anonymously(Credentials& server, int tls_version_max = 0);

} // namespace slipway::tls
