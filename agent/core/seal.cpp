#include "agent/core/seal.h"

#include <algorithm>
#include <climits>
#include <new>

#include <openssl/evp.h>

namespace slipway::agent {
namespace {

constexpr std::array<std::uint8_t, 8> magic{'S', 'L', 'P', 'S', 'E', 'A', 'L', 1};
constexpr std::size_t header_bytes = magic.size() + 8;
constexpr std::size_t seal_bytes = sizeof(SealNonce) + sizeof(Seal::tag);

// With a context of its own and memory, none of these calls has a way to fail.
void must(int done) {
    if (done != 1) {
        throw std::bad_alloc();
    }
}

} // namespace

void Sealing::Free::operator()(evp_cipher_ctx_st* context) const {
    EVP_CIPHER_CTX_free(context);
}

Sealing::Sealing(const SealKey& key) : context_(EVP_CIPHER_CTX_new()) {
    must(context_ != nullptr ? 1 : 0);
    must(EVP_EncryptInit_ex(context_.get(), EVP_aes_256_gcm(), nullptr, key.data(), nullptr));
}

Sealing::~Sealing() = default;

void Sealing::begin(const SealNonce& nonce, const Sha256Digest& chunk) {
    nonce_ = nonce;
    must(EVP_EncryptInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce.data()));
    update(chunk.bytes);
}

void Sealing::update(ByteSpan bytes) {
    while (!bytes.empty()) {
        const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), INT_MAX));
        int out = 0;
        must(EVP_EncryptUpdate(context_.get(), nullptr, &out, piece.data(),
                               static_cast<int>(piece.size())));
        bytes = bytes.subspan(piece.size());
    }
}

Seal Sealing::end() {
    Seal seal;
    seal.nonce = nonce_;
    std::array<std::uint8_t, 16> nothing{};
    int out = 0;
    must(EVP_EncryptFinal_ex(context_.get(), nothing.data(), &out));
    must(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG,
                             static_cast<int>(seal.tag.size()), seal.tag.data()));
    return seal;
}

std::size_t seals_bytes(std::size_t count) {
    return header_bytes + count * seal_bytes;
}

Bytes encode_seals(std::span<const Seal> seals) {
    Bytes out;
    out.reserve(seals_bytes(seals.size()));
    ByteWriter writer(out);
    writer.raw(magic);
    writer.u64(seals.size());
    for (const auto& seal : seals) {
        writer.raw(seal.nonce);
        writer.raw(seal.tag);
    }
    return out;
}

std::optional<std::vector<Seal>> decode_seals(ByteSpan bytes, std::size_t count) {
    if (count > (SIZE_MAX - header_bytes) / seal_bytes || bytes.size() != seals_bytes(count) ||
        !std::ranges::equal(bytes.first(magic.size()), magic)) {
        return std::nullopt;
    }
    ByteReader reader(bytes.subspan(magic.size()), "seals");
    if (reader.u64().value_or(0) != count) {
        return std::nullopt;
    }
    std::vector<Seal> seals(count);
    auto rest = bytes.subspan(header_bytes);
    for (auto& seal : seals) {
        std::ranges::copy(rest.first(seal.nonce.size()), seal.nonce.begin());
        std::ranges::copy(rest.subspan(seal.nonce.size(), seal.tag.size()), seal.tag.begin());
        rest = rest.subspan(seal_bytes);
    }
    return seals;
}

} // namespace slipway::agent
