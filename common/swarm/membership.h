#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <openssl/types.h>

#include "common/core/result.h"
#include "common/core/sha256.h"

namespace slipway::swarm {

/// What a host shows in swarms and whom it takes for a member, as PEM texts.
struct TlsMaterial {
    /// This host's certificates: one for each authority whose swarms it joins. The first one names
    /// the authority of the swarms that it fetches from.
    std::string certificates;
    std::string keys;        ///< Of these certificates, without passphrase, in any order.
    std::string authorities; ///< Certificates of the fleet's authorities; two during a rotation.
    std::string revocations; ///< Revocation lists of these authorities; may be empty.
};

/// One authority's part of it: everything that is needed in the swarms of this authority.
struct Membership {
    Sha256Digest authority;    ///< SHA-256 of the authority's certificate in DER.
    std::string authority_pem; ///< The same certificate, encoded by us: "ssl-cert" of the metainfo.
    std::shared_ptr<X509> authority_certificate;
    std::shared_ptr<X509> certificate; ///< This host's.
    std::shared_ptr<EVP_PKEY> key;
    std::set<std::string> revoked; ///< Serial numbers in upper case hexadecimal, as OpenSSL says.
    /// Until when that is complete: then nobody is let in, so that a list that is kept back does
    /// not bring a revoked host back. None: there are no lists, and revocation is not checked.
    std::optional<std::chrono::system_clock::time_point> revocations_due;
};

struct Memberships {
    std::vector<std::shared_ptr<const Membership>> all; ///< The one to fetch with is first.
    /// What an operator should know: an authority without a certificate of this host, or without
    /// a revocation list that is not past its date.
    std::vector<std::string> warnings;
};

using WallTime = std::chrono::system_clock::time_point;

/// Parses and checks everything that libtorrent would find out when peers fail. Pure.
/// Errors (Errc::usage), each naming the certificate and what to do: malformed PEM; a certificate
/// without the name `DNS:*`, outside its dates at `now`, not for both ends of a connection, not for
/// the key, or not signed by an authority itself (swarms take no chains); an authority that is none
/// or not self-signed; a revocation list that no authority signed.
[[nodiscard]] Result<Memberships> parse_memberships(const TlsMaterial& material, WallTime now);

/// True if the certificate names `DNS:*` exactly. libtorrent alone would take any prefix of the
/// torrent's name, and common names.
[[nodiscard]] bool names_every_swarm(const X509& certificate);
[[nodiscard]] bool is_revoked(const Membership& membership, const X509& certificate);
/// "CN=web-1" and the serial number, for messages.
[[nodiscard]] std::string describe_certificate(const X509& certificate);

} // namespace slipway::swarm
