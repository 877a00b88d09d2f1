#include "common/core/bytes.h"

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include "common/core/errc.h"

namespace slipway {

TEST_CASE("varint: every value comes back, in its shortest form only", "[bytes]") {
    CHECK(rc::check([](std::uint64_t value) {
        Bytes out;
        ByteWriter(out).varint(value);
        ByteReader reader(out, "test");
        const auto back = reader.varint(UINT64_MAX, "value");
        RC_ASSERT(back.has_value());
        RC_ASSERT(*back == value);
        RC_ASSERT(reader.at_end());
    }));
    const Bytes padded{0x81, 0x00};
    CHECK_FALSE(ByteReader(padded, "test").varint(1000, "value"));
}

TEST_CASE("ByteReader: truncation and limits are refused by name, whatever the bytes", "[bytes]") {
    const Bytes two{0x80, 0x01};
    const auto over = ByteReader(two, "index of x").varint(100, "path length");
    REQUIRE_FALSE(over);
    CHECK(over.error().code == Errc::verification_failed);
    CHECK(over.error().context.find("path length is 128") != std::string::npos);
    CHECK_FALSE(ByteReader(two, "x").u64());
    CHECK_FALSE(ByteReader(two, "x").raw(UINT64_MAX, "name"));
    CHECK(rc::check([](const Bytes& bytes) {
        ByteReader reader(bytes, "random");
        while (reader.varint(UINT64_MAX, "value")) {
        }
        RC_ASSERT(reader.position() <= bytes.size());
    }));
}

TEST_CASE("fixed integers are little-endian", "[bytes]") {
    Bytes out;
    ByteWriter writer(out);
    writer.u32(0x01020304);
    writer.u64(0x0102030405060708);
    CHECK(out == Bytes{4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1});
    ByteReader reader(out, "x");
    CHECK(*reader.u32() == 0x01020304U);
    CHECK(*reader.u64() == 0x0102030405060708U);
}

TEST_CASE("describe: control bytes of a hostile name are escaped", "[errc]") {
    CHECK(describe(Error{Errc::not_found, "open a\x1b[2Jb"}) == "open a\\x1b[2Jb: not found");
}

} // namespace slipway
