#include "common/core/sha256.h"

#include <algorithm>
#include <cassert>

#include <openssl/evp.h>

#include "common/core/errc.h"

namespace slipway {
namespace {

// Fetched once: looking an algorithm up by name costs more than hashing a small file.
const EVP_MD* sha256_algorithm() {
    static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    assert(algorithm != nullptr);
    return algorithm;
}

int nibble(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

} // namespace

std::string to_hex(ByteSpan bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const auto byte : bytes) {
        out += digits[byte >> 4U];
        out += digits[byte & 0xfU];
    }
    return out;
}

Result<Bytes> from_hex(std::string_view hex) {
    if (hex.size() % 2 != 0) {
        return fail(Errc::verification_failed, "hexadecimal text of odd length");
    }
    Bytes out;
    out.reserve(hex.size() / 2);
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        const int high = nibble(hex[i]);
        const int low = nibble(hex[i + 1]);
        if (high < 0 || low < 0) {
            return fail(Errc::verification_failed, "not lower-case hexadecimal");
        }
        out.push_back(static_cast<std::uint8_t>(high * 16 + low));
    }
    return out;
}

std::string Sha256Digest::hex() const {
    return to_hex(bytes);
}

Result<Sha256Digest> Sha256Digest::from_hex(std::string_view hex) {
    if (hex.size() != 64) {
        return fail(Errc::verification_failed, "a SHA-256 digest has 64 hexadecimal digits");
    }
    return slipway::from_hex(hex).map([](const Bytes& bytes) {
        Sha256Digest digest;
        std::ranges::copy(bytes, digest.bytes.begin());
        return digest;
    });
}

void Sha256::Free::operator()(evp_md_ctx_st* context) const {
    EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    assert(context_ != nullptr);
    EVP_DigestInit_ex2(context_.get(), sha256_algorithm(), nullptr);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(ByteSpan bytes) {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
}

Sha256Digest Sha256::finish() {
    Sha256Digest digest;
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.bytes.data(), &size);
    assert(size == digest.bytes.size());
    EVP_DigestInit_ex2(context_.get(), nullptr, nullptr);
    return digest;
}

Sha256Digest sha256(ByteSpan bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.finish();
}

} // namespace slipway
