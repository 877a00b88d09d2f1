#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/identity.h"

namespace slipway::tls {

/// How a host gets its first certificate: an authority hands out a token for one identity, and
/// whoever has it sends a certificate request (PKCS #10) and gets the certificate.
///
/// The token is a shared secret that never travels: request and reply each carry a MAC made with
/// it (HMAC-SHA-256), so that the authority knows the host, the host knows the authority, and
/// neither needs TLS. What travels besides is public. Pure.
struct EnrollToken {
    std::string id;     ///< 16 hexadecimal digits; names the token.
    std::string secret; ///< 64 of them.

    [[nodiscard]] std::string text() const { return id + "." + secret; }
    /// Error: Errc::usage.
    [[nodiscard]] static Result<EnrollToken> parse(std::string_view text);
};

inline constexpr std::size_t enroll_message_bytes_max = std::size_t{64} * 1024;

struct EnrollRequest {
    std::string token; ///< Its id.
    std::string csr;   ///< PEM.
    std::string mac;   ///< Hexadecimal.
    [[nodiscard]] std::string encode() const;
    /// Error: Errc::verification_failed.
    [[nodiscard]] static Result<EnrollRequest> decode(ByteSpan json);
};
[[nodiscard]] EnrollRequest make_enroll_request(const EnrollToken& token, std::string csr);

struct EnrollReply {
    std::string certificate; ///< PEM, of the host.
    std::string authority;   ///< PEM.
    std::string mac;         ///< Hexadecimal.
    [[nodiscard]] std::string encode() const;
    /// Error: Errc::verification_failed.
    [[nodiscard]] static Result<EnrollReply> decode(ByteSpan json);
};
/// `request_mac` binds the reply to its request.
[[nodiscard]] EnrollReply make_enroll_reply(const EnrollToken& token,
                                            const std::string& request_mac, std::string certificate,
                                            std::string authority);

/// Error: Errc::forbidden when it was not made with the token.
[[nodiscard]] Result<> check_mac(const EnrollToken& token, const EnrollRequest& request);
[[nodiscard]] Result<> check_mac(const EnrollToken& token, const std::string& request_mac,
                                 const EnrollReply& reply);

/// The tokens that an authority gave out: its tokens.json, of mode 0600.
struct TokenIndex {
    struct Entry {
        EnrollToken token;
        Identity identity;
        std::chrono::sys_seconds not_after;
        std::string key; ///< SHA-256 of the public key that took it; empty: none has yet.
    };
    static constexpr std::size_t tokens_max = 10'000;
    std::vector<Entry> entries;

    [[nodiscard]] std::string encode() const;
    /// Error: Errc::verification_failed, naming `what`.
    [[nodiscard]] static Result<TokenIndex> decode(ByteSpan json, const std::string& what);

    /// Adds one, after dropping those that have expired. Error: Errc::failed when there are too
    /// many.
    [[nodiscard]] Result<> add(Entry entry, std::chrono::sys_seconds now);
    /// Error: Errc::forbidden: not known, or expired.
    [[nodiscard]] Result<EnrollToken> find(const std::string& id,
                                           std::chrono::sys_seconds now) const;
    /// Gives the token to the first key that asks; the same key may ask again, since an answer can
    /// be lost. Error: Errc::forbidden: as find(), or taken by another key.
    [[nodiscard]] Result<Identity> redeem(const std::string& id, const std::string& key,
                                          std::chrono::sys_seconds now);
};

} // namespace slipway::tls
