#pragma once

#include <array>
#include <cstdint>
#include <filesystem>

#include "common/core/result.h"

namespace slipway::tls {

/// The PEM files that a program takes part in mutual TLS with; `--tls-cert`, `--tls-key`,
/// `--tls-ca` and `--tls-crl` of every program (flags.h).
struct TlsFiles {
    std::filesystem::path certificate; ///< Its own, then intermediates if any.
    std::filesystem::path key;         ///< Unencrypted; only its owner may read it.
    std::filesystem::path authority;   ///< Root certificates that peers' chains must lead to.
    /// Revocation lists, one of each authority in use. Empty: revocation is not checked.
    std::filesystem::path revoked;

    /// Whether TLS is configured at all.
    [[nodiscard]] bool given() const { return !certificate.empty(); }
};

/// Errc::usage if some of the three that belong together are missing.
[[nodiscard]] Result<> check_complete(const TlsFiles& files);

/// What tells whether one of the files was replaced: device, inode, length, time of change of each.
/// Zeros for one that is not there.
using FileStamps = std::array<std::array<std::int64_t, 4>, 4>;
[[nodiscard]] FileStamps stamps_of(const TlsFiles& files);

} // namespace slipway::tls
