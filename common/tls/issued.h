#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/identity.h"

namespace slipway::tls {

/// A certificate that an authority issued.
struct Issued {
    std::string serial; ///< Hexadecimal, as `openssl x509 -serial` prints it, in lower case.
    Identity identity;
    std::chrono::sys_seconds not_after;
    std::optional<std::chrono::sys_seconds> revoked;
};

/// What an authority remembers: its issued.json. Pure.
struct IssuedIndex {
    std::uint64_t crl_number = 0; ///< Of the last revocation list; they only grow.
    std::vector<Issued> certificates;

    [[nodiscard]] std::string encode() const;
    /// Error: Errc::verification_failed, naming `what`.
    [[nodiscard]] static Result<IssuedIndex> decode(ByteSpan json, const std::string& what);

    /// Marks what `what` names, an identity's text or a serial number, as revoked at `now`, and
    /// gives the certificates that this touched. Errors: Errc::not_found if none was issued,
    /// Errc::failed if all are revoked already.
    [[nodiscard]] Result<std::vector<Issued>> revoke(const std::string& what,
                                                     std::chrono::sys_seconds now);
};

} // namespace slipway::tls
