#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/core/identity.h"
#include "common/io/file_ops.h"
#include "common/tls/issued.h"

namespace slipway::tls {

enum class KeyAlgorithm { p256, ed25519 };

struct AuthorityRequest {
    std::string name = "Slipway fleet"; ///< Common name of the authority; up to 64 bytes.
    std::chrono::days valid{3650};
    KeyAlgorithm algorithm = KeyAlgorithm::p256;
};

struct IssueRequest {
    Identity identity;
    std::vector<std::string> dns_names; ///< That the party is reached by.
    std::vector<std::string> addresses; ///< The same, as IP addresses.
    std::chrono::days valid{90};
    KeyAlgorithm algorithm = KeyAlgorithm::p256;
    std::filesystem::path out; ///< Directory for cert.pem, key.pem and ca.pem.
};

/// A small certificate authority in a directory, for trying out and for small fleets:
///
///     ca.pem       its certificate: `--tls-ca` of everyone
///     ca.crl       what it revoked: `--tls-crl` of everyone
///     ca.key       its private key, mode 0600; the directory has mode 0700
///     issued.json  what it issued and revoked
///     tokens.json  tokens for enrollment that it gave out, mode 0600
///
/// Every certificate is signed by the authority itself, without intermediates, and the ones that
/// share packs carry the name `DNS:*`: libtorrent's SSL torrents ask for both.
///
/// One process at a time holds the directory's lock. A crash at any point leaves a usable
/// authority: the index is written before what it tells of leaves.
class Authority {
public:
    /// Errors: Errc::failed if `directory` has an authority already; the disk's.
    [[nodiscard]] static Result<> init(const std::filesystem::path& directory,
                                       const AuthorityRequest& request,
                                       std::chrono::sys_seconds now);
    /// Errors: Errc::not_found, naming how to make one; Errc::busy; Errc::failed for damage.
    [[nodiscard]] static Result<Authority> open(const std::filesystem::path& directory);
    ~Authority();
    Authority(Authority&&) noexcept;
    Authority& operator=(Authority&&) noexcept = delete;
    Authority(const Authority&) = delete;
    Authority& operator=(const Authority&) = delete;

    /// A new key and certificate, valid no longer than the authority's own. Files of the same
    /// identity in `out` are replaced, key first; those of another identity are an error.
    [[nodiscard]] Result<Issued> issue(const IssueRequest& request, std::chrono::sys_seconds now);
    /// `what`: an identity's text (all its certificates) or a serial number. Writes the list anew.
    [[nodiscard]] Result<std::vector<Issued>>
    revoke(const std::string& what, std::chrono::days list_valid, std::chrono::sys_seconds now);
    /// Signs the revocation list again, valid for `list_valid` from `now`.
    [[nodiscard]] Result<> renew_list(std::chrono::days list_valid, std::chrono::sys_seconds now);
    [[nodiscard]] const std::vector<Issued>& issued() const;

    /// A token with which a host gets one certificate of `identity`, until `not_after`; its text.
    [[nodiscard]] Result<std::string> make_token(const Identity& identity,
                                                 std::chrono::sys_seconds not_after,
                                                 std::chrono::sys_seconds now);
    /// Answers an EnrollRequest (its JSON) with an EnrollReply. The token is marked as taken before
    /// anything is signed. Errors: Errc::forbidden (the token), Errc::verification_failed (the
    /// request).
    [[nodiscard]] Result<std::string> enroll(ByteSpan request, std::chrono::days valid,
                                             std::chrono::sys_seconds now);

    struct State; ///< Complete in the .cpp only.

private:
    explicit Authority(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

constexpr std::chrono::days list_valid_by_default{30};

} // namespace slipway::tls
