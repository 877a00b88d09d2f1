#pragma once

#include <functional>
#include <optional>

#include <catch2/catch.hpp>

#include "common/core/bytes.h"
#include "common/core/errc.h"

namespace slipway::tests {

/// Every truncation of `good` must be refused as bad bytes; so must, when `all_bits_count`, every
/// change of a byte, for formats without free bytes. `parse` gives the error, or nothing.
inline void check_refuses_damage(const Bytes& good, bool all_bits_count,
                                 const std::function<std::optional<Error>(ByteSpan)>& parse) {
    REQUIRE_FALSE(parse(good));
    for (std::size_t length = 0; length < good.size(); ++length) {
        CAPTURE(length);
        const auto error = parse(ByteSpan(good).first(length));
        REQUIRE(error);
        CHECK(error->code == Errc::verification_failed);
    }
    for (std::size_t at = 0; at < good.size(); ++at) {
        for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
            CAPTURE(at, flip);
            auto bad = good;
            bad[at] = static_cast<std::uint8_t>(bad[at] ^ flip);
            const auto error = parse(bad);
            if (all_bits_count) {
                REQUIRE(error);
            }
            if (error) {
                CHECK(error->code == Errc::verification_failed);
            }
        }
    }
}

} // namespace slipway::tests
