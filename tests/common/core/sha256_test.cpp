#include "common/core/sha256.h"

#include <catch2/catch.hpp>

namespace slipway {

TEST_CASE("sha256: FIPS 180-4 examples, in one piece and in two", "[sha256]") {
    const auto* const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    CHECK(sha256(as_bytes("abc")).hex() == abc);
    Sha256 hash;
    hash.update(as_bytes("a"));
    hash.update(as_bytes("bc"));
    CHECK(hash.finish().hex() == abc);
    CHECK(hash.finish().hex() ==
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("Sha256Digest: only 64 lower-case digits are a digest", "[sha256]") {
    const auto text = sha256({}).hex();
    CHECK(Sha256Digest::from_hex(text)->hex() == text);
    CHECK_FALSE(Sha256Digest::from_hex(text.substr(1)));
    CHECK_FALSE(Sha256Digest::from_hex("E" + text.substr(1)));
    CHECK_FALSE(Sha256Digest::from_hex("g" + text.substr(1)));
}

} // namespace slipway
