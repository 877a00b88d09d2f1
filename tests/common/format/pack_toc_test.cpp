#include "common/format/pack.h"

#include <catch2/catch.hpp>
#include <rapidcheck.h>
#include <zstd.h>

#include "common/core/errc.h"
#include "tests/bad_input.h"

namespace slipway {
namespace {

ChunkRef chunk(int seed, std::uint64_t bytes = 100) {
    return {ChunkKey::of(sha256(as_bytes(std::to_string(seed)))), bytes};
}

PackToc sample() {
    PackToc toc;
    toc.blocks.push_back({8, 50, Codec::zstd, {}, {chunk(1), chunk(2, 7)}});
    toc.blocks.push_back({58, 10, Codec::zstd_prefix, {chunk(3)}, {chunk(4, 64U << 20U)}});
    toc.blocks.push_back({100, 5, Codec::stored, {}, {chunk(5, 5)}});
    return toc;
}

constexpr std::uint64_t sample_offset = 105;

std::optional<Error> decode_error(ByteSpan bytes, std::uint64_t toc_offset = sample_offset) {
    const auto toc = decode_toc(bytes, toc_offset, "pack 1234");
    return toc ? std::nullopt : std::optional(toc.error());
}

/// A frame around a table that a writer of ours would not make.
Bytes frame(const Bytes& raw) {
    Bytes encoded(ZSTD_compressBound(raw.size()));
    encoded.resize(ZSTD_compress(encoded.data(), encoded.size(), raw.data(), raw.size(), 1));
    return encoded;
}

Bytes raw_of(const Bytes& encoded) {
    Bytes raw(ZSTD_getFrameContentSize(encoded.data(), encoded.size()));
    ZSTD_decompress(raw.data(), raw.size(), encoded.data(), encoded.size());
    return raw;
}

} // namespace

TEST_CASE("toc: what was encoded is decoded", "[toc]") {
    const auto again = decode_toc(encode_toc(sample()), sample_offset, "toc");
    REQUIRE(again);
    CHECK(again->blocks == sample().blocks);
    CHECK(decode_toc(encode_toc(PackToc{}), 8, "toc"));
}

TEST_CASE("toc: any table survives encoding and decoding", "[toc]") {
    CHECK(rc::check([] {
        PackToc toc;
        std::uint64_t end = 8;
        const auto blocks = *rc::gen::inRange(0, 20);
        for (int i = 0; i < blocks; ++i) {
            Block block;
            block.offset = end + *rc::gen::inRange<std::uint64_t>(0, 1000);
            block.encoded_bytes = *rc::gen::inRange<std::uint64_t>(1, 1U << 20U);
            block.codec = *rc::gen::element(Codec::stored, Codec::zstd, Codec::zstd_prefix);
            for (int n = *rc::gen::inRange(0, 3); n > 0; --n) {
                block.bases.push_back(chunk(1000 + i * 10 + n));
            }
            for (int n = *rc::gen::inRange(1, 5); n > 0; --n) {
                block.chunks.push_back(chunk(i * 10 + n));
            }
            end = block.offset + block.encoded_bytes;
            toc.blocks.push_back(block);
        }
        const auto again = decode_toc(encode_toc(toc), end, "toc");
        RC_ASSERT(again.has_value());
        RC_ASSERT(again->blocks == toc.blocks);
    }));
}

TEST_CASE("toc: damage of the frame is refused or decodes within the limits", "[toc]") {
    tests::check_refuses_damage(encode_toc(sample()), false,
                                [](ByteSpan damaged) { return decode_error(damaged); });
}

TEST_CASE("toc: damage below the compression is refused or decodes within the limits", "[toc]") {
    tests::check_refuses_damage(raw_of(encode_toc(sample())), false, [](ByteSpan damaged) {
        return decode_error(frame({damaged.begin(), damaged.end()}));
    });
}

TEST_CASE("toc: a block that reaches into the table is refused", "[toc]") {
    CHECK_FALSE(decode_error(encode_toc(sample()), 105));
    CHECK(decode_error(encode_toc(sample()), 104));
    CHECK(decode_error(encode_toc(sample()), 0));
}

TEST_CASE("toc: a codec of a later version is refused by its name", "[toc]") {
    auto raw = raw_of(encode_toc(sample()));
    const auto at = std::string(as_text(raw)).find("zstd-prefix");
    REQUIRE(at != std::string::npos);
    raw[at] = 'q';
    const auto error = decode_error(frame(raw));
    REQUIRE(error);
    CHECK(error->context.find("'qstd-prefix'") != std::string::npos);
}

TEST_CASE("toc: a small frame that claims a huge table takes no memory", "[toc]") {
    const Bytes zeros(64U << 20U, 0);
    const auto error = decode_error(frame(zeros));
    REQUIRE(error);
    CHECK(error->code == Errc::verification_failed);
}

} // namespace slipway
