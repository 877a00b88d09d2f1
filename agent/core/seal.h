#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/sha256.h"

struct evp_cipher_ctx_st;

namespace slipway::agent {

/// Known to the process that installs, and to nobody else.
using SealKey = std::array<std::uint8_t, 32>;
/// Never the same for two contents under one key: random.
using SealNonce = std::array<std::uint8_t, 12>;

/// Says, to whoever has the key, that the bytes of a chunk had the index's SHA-256 when this host
/// looked. Checking it takes a seventh of the time that SHA-256 takes, so a release that shares
/// most of its files with the one before is read back in less time.
///
/// The tag is a GMAC (NIST SP 800-38D) of the chunk's SHA-256 followed by its bytes: a seal fits no
/// other chunk, and who lacks the key makes none. A seal proves, it never refutes: where it does
/// not fit, or is missing, SHA-256 decides.
struct Seal {
    SealNonce nonce{}; ///< All zero: there is no seal.
    std::array<std::uint8_t, 16> tag{};
    bool operator==(const Seal&) const = default;
    [[nodiscard]] bool is_there() const { return nonce != SealNonce{}; }
};

/// Makes and checks seals, over bytes that come in pieces. Not thread-safe; a use costs no memory.
class Sealing {
public:
    explicit Sealing(const SealKey& key);
    ~Sealing();
    Sealing(const Sealing&) = delete;
    Sealing& operator=(const Sealing&) = delete;

    /// The bytes of `chunk` follow.
    void begin(const SealNonce& nonce, const Sha256Digest& chunk);
    void update(ByteSpan bytes);
    [[nodiscard]] Seal end();

private:
    struct Free {
        void operator()(evp_cipher_ctx_st* context) const;
    };
    std::unique_ptr<evp_cipher_ctx_st, Free> context_;
    SealNonce nonce_{};
};

/// "SLPSEAL", a version, their number (u64, little-endian), then 28 bytes each: docs/install.md.
[[nodiscard]] Bytes encode_seals(std::span<const Seal> seals);
/// None if the bytes are not the seals of exactly `count` chunks.
[[nodiscard]] std::optional<std::vector<Seal>> decode_seals(ByteSpan bytes, std::size_t count);
[[nodiscard]] std::size_t seals_bytes(std::size_t count);

} // namespace slipway::agent
