#include "agent/core/seal.h"

#include <catch2/catch.hpp>

namespace slipway::agent {
namespace {

const SealKey key{7};
const SealNonce nonce{1, 2, 3};
const auto content = as_bytes("a chunk's bytes");

Seal seal_of(const SealKey& under, const SealNonce& once, ByteSpan bytes, const Sha256Digest& chunk,
             std::size_t piece = 100) {
    Sealing sealing(under);
    sealing.begin(once, chunk);
    for (; bytes.size() > piece; bytes = bytes.subspan(piece)) {
        sealing.update(bytes.first(piece));
    }
    sealing.update(bytes);
    return sealing.end();
}

} // namespace

TEST_CASE("seal: depends on key, nonce, bytes and chunk, and on nothing else", "[seal]") {
    const auto chunk = sha256(content);
    const auto seal = seal_of(key, nonce, content, chunk);
    CHECK(seal_of(key, nonce, content, chunk, 4) == seal);
    CHECK(seal_of({8}, nonce, content, chunk).tag != seal.tag);
    CHECK(seal_of(key, {1, 2, 4}, content, chunk).tag != seal.tag);
    CHECK(seal_of(key, nonce, as_bytes("a chunk's byteS"), chunk).tag != seal.tag);
    CHECK(seal_of(key, nonce, content, sha256(as_bytes("another"))).tag != seal.tag);
}

TEST_CASE("seal: a sealing serves any number of chunks", "[seal]") {
    Sealing sealing(key);
    for (std::uint8_t i = 1; i < 5; ++i) {
        sealing.begin({i}, sha256(content));
        sealing.update(content);
        CHECK(sealing.end() == seal_of(key, {i}, content, sha256(content)));
    }
}

TEST_CASE("seals: what was encoded is decoded, and only whole and for as many chunks", "[seal]") {
    const std::vector<Seal> seals{seal_of(key, nonce, content, sha256(content)), Seal{},
                                  seal_of(key, {9}, {}, sha256({}))};
    const auto bytes = encode_seals(seals);
    CHECK(bytes.size() == seals_bytes(3));
    CHECK(decode_seals(bytes, 3) == seals);
    CHECK(decode_seals(encode_seals({}), 0) == std::vector<Seal>{});
    CHECK_FALSE(decode_seals(bytes, 2));
    CHECK_FALSE(decode_seals(bytes, SIZE_MAX));
    CHECK_FALSE(decode_seals(ByteSpan(bytes).first(bytes.size() - 1), 3));
    CHECK_FALSE(decode_seals({}, 0));
    auto newer = bytes;
    newer[7] = 2;
    CHECK_FALSE(decode_seals(newer, 3));
}

} // namespace slipway::agent
