#include "common/format/pack.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "tests/bad_input.h"

namespace slipway {
namespace {

PackEntry entry(std::string_view seed, PackRole role) {
    PackEntry pack;
    pack.id = {sha256(as_bytes(seed)), 1000};
    pack.toc_bytes = 100;
    pack.toc_offset = 900;
    pack.role = role;
    pack.to = sha256(as_bytes("to"));
    pack.to_version = "2";
    if (role == PackRole::patch) {
        pack.from = sha256(as_bytes("from"));
        pack.from_version = "1";
    }
    return pack;
}

PackMap sample() {
    return {sha256(as_bytes("manifest")),
            {entry("a", PackRole::base), entry("b", PackRole::base), entry("c", PackRole::patch)}};
}

} // namespace

TEST_CASE("pack map: what was encoded is decoded", "[pack-map]") {
    const auto again = decode_pack_map(encode_pack_map(sample()), "pack map");
    REQUIRE(again);
    CHECK(*again == sample());
}

TEST_CASE("pack map: damage is refused, or is another well-formed map", "[pack-map]") {
    tests::check_refuses_damage(encode_pack_map(sample()), false,
                                [](ByteSpan damaged) -> std::optional<Error> {
                                    const auto map = decode_pack_map(damaged, "pack map");
                                    if (!map) {
                                        return map.error();
                                    }
                                    const auto again = encode_pack_map(*map);
                                    CHECK(std::ranges::equal(again, damaged));
                                    return std::nullopt;
                                });
}

TEST_CASE("pack map: a pack twice, or a base pack after a patch pack, is refused", "[pack-map]") {
    auto twice = sample();
    twice.packs.push_back(twice.packs.back());
    CHECK_FALSE(decode_pack_map(encode_pack_map(twice), "pack map"));
    auto disordered = sample();
    std::swap(disordered.packs.front(), disordered.packs.back());
    CHECK_FALSE(decode_pack_map(encode_pack_map(disordered), "pack map"));
}

} // namespace slipway
