#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "common/core/bytes.h"
#include "common/core/result.h"

struct evp_md_ctx_st; // OpenSSL's EVP_MD_CTX.

namespace slipway {

/// A SHA-256 digest (FIPS 180-4). Ordered bytewise.
struct Sha256Digest {
    std::array<std::uint8_t, 32> bytes{};
    auto operator<=>(const Sha256Digest&) const = default;

    /// 64 lower-case hexadecimal digits.
    [[nodiscard]] std::string hex() const;
    /// Exactly 64 lower-case hexadecimal digits, else Errc::verification_failed.
    [[nodiscard]] static Result<Sha256Digest> from_hex(std::string_view hex);
};

/// Incremental SHA-256. Reusable after finish(). Not thread-safe.
class Sha256 {
public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;

    void update(ByteSpan bytes);
    /// The digest of all bytes since construction or the last finish().
    [[nodiscard]] Sha256Digest finish();

private:
    struct Free {
        void operator()(evp_md_ctx_st* context) const;
    };
    std::unique_ptr<evp_md_ctx_st, Free> context_;
};

[[nodiscard]] Sha256Digest sha256(ByteSpan bytes);

[[nodiscard]] std::string to_hex(ByteSpan bytes);
/// Lower-case hexadecimal of an even length, else Errc::verification_failed.
[[nodiscard]] Result<Bytes> from_hex(std::string_view hex);

} // namespace slipway

template <>
struct std::hash<slipway::Sha256Digest> {
    std::size_t operator()(const slipway::Sha256Digest& digest) const noexcept {
        std::size_t value = 0; // A digest is already uniform: its first bytes serve as they are.
        std::memcpy(&value, digest.bytes.data(), sizeof value);
        return value;
    }
};
