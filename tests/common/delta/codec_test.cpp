#include "common/delta/codec.h"

#include <thread>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include "common/core/errc.h"
#include "tests/common/delta/samples.h"

namespace slipway {
namespace {

Result<Bytes> decoded(const Encoded& encoded, ByteSpan base, std::size_t size) {
    Bytes out(size, 0xA5);
    return decode_block(encoded.codec, encoded.bytes, base, out).map([&] { return out; });
}

bool refused(Codec codec, ByteSpan encoded, ByteSpan base, std::size_t size) {
    Bytes out(size);
    const auto result = decode_block(codec, encoded, base, out);
    return !result && result.error().code == Errc::verification_failed;
}

Result<Bytes> in_pieces(Codec codec, ByteSpan encoded, std::size_t size) {
    Bytes out;
    return decode_in_pieces(codec, encoded, size,
                            [&](ByteSpan piece) -> Result<> {
                                CHECK(piece.size() <= 1024U * 1024U);
                                out.insert(out.end(), piece.begin(), piece.end());
                                return {};
                            })
        .map([&] { return std::move(out); });
}

} // namespace

TEST_CASE("codec names: each codec is found by its name and no other", "[delta]") {
    for (const auto codec : {Codec::stored, Codec::zstd, Codec::zstd_prefix, Codec::sdiff}) {
        CHECK(codec_by_name(to_string(codec)) == codec);
    }
    CHECK_FALSE(codec_by_name("Zstd"));
    CHECK_FALSE(codec_by_name("sdiff-2"));
    CHECK_FALSE(codec_by_name(""));
}

TEST_CASE("encode_full: decoding gives the bytes back, at each level", "[delta]") {
    for (const int level : {1, 3, 9, 19}) {
        for (const std::size_t size : {1U, 100U, 400'000U}) {
            const auto raw = samples::text(size, size);
            const auto encoded = encode_full(raw, {.zstd_level = level});
            CHECK(decoded(encoded, {}, size) == raw);
            CHECK(encoded.bytes.size() <= size);
        }
    }
}

TEST_CASE("encode_full: what does not shrink is stored", "[delta]") {
    const auto raw = samples::noise(200'000, 1);
    const auto encoded = encode_full(raw, {});
    CHECK(encoded.codec == Codec::stored);
    CHECK(encoded.bytes == raw);
    CHECK(encode_full({}, {}).codec == Codec::stored);
    CHECK(decode_block(Codec::stored, {}, {}, {}));
}

TEST_CASE("encode_patch: a changed program costs a fraction of its full encoding", "[delta]") {
    const auto base = samples::noise(3'000'000, 5);
    const auto raw = samples::recompiled(base, 6);
    const auto patch = encode_patch(raw, base, {});
    CHECK(patch.codec == Codec::zstd_prefix);
    CHECK(patch.bytes.size() < raw.size() / 2);
    CHECK(decoded(patch, base, raw.size()) == raw);
}

TEST_CASE("encode_patch_within: an encoding over the bound is none, one at the bound is made",
          "[delta]") {
    const auto base = samples::noise(300'000, 5);
    const auto raw = samples::recompiled(base, 6);
    for (const bool thorough : {false, true}) {
        const EffortLevel level{.try_sdiff = thorough};
        const auto bytes = encode_patch(raw, base, level).bytes.size();
        REQUIRE(bytes < raw.size());
        const auto within = encode_patch_within(raw, base, level, raw.size());
        REQUIRE(within);
        CHECK(within->bytes.size() == bytes);
        CHECK_FALSE(encode_patch_within(raw, base, level, bytes / 2));
        CHECK_FALSE(encode_patch_within(raw, {}, level, raw.size() - 1));
    }
}

TEST_CASE("encode_patch: bytes that follow their base in memory come back", "[delta]") {
    auto both = samples::noise(500'000, 5);
    const auto raw = samples::recompiled(both, 6);
    const auto base_bytes = both.size();
    both.insert(both.end(), raw.begin(), raw.end());
    const auto base = ByteSpan(both).first(base_bytes);
    const auto patch = encode_patch(ByteSpan(both).subspan(base_bytes), base, {});
    CHECK(patch.codec == Codec::zstd_prefix);
    CHECK(patch.bytes.size() < raw.size() / 2);
    CHECK(decoded(patch, base, raw.size()) == raw);
}

TEST_CASE("encode_patch: the whole of a long base is matched", "[delta]") {
    const auto base = samples::noise(20'000'000, 7);
    Bytes raw(base.begin(), base.begin() + 5'000'000);
    raw.insert(raw.end(), base.end() - 5'000'000, base.end());
    const auto patch = encode_patch(raw, base, {});
    CHECK(patch.bytes.size() < 2'000);
    CHECK(decoded(patch, base, raw.size()) == raw);
}

TEST_CASE("encode_patch: any bytes come back, given any base", "[delta]") {
    CHECK(rc::check([](const Bytes& raw, const Bytes& base, bool thorough) {
        const auto patch = encode_patch(raw, base, {.try_sdiff = thorough});
        RC_ASSERT(patch.bytes.size() <= raw.size());
        RC_ASSERT(decoded(patch, base, raw.size()) == raw);
    }));
}

TEST_CASE("decode_block: each truncation and anything that follows is refused", "[delta]") {
    const auto base = samples::text(3'000, 1);
    const auto raw = samples::recompiled(base, 2);
    const auto full = encode_full(raw, {});
    const auto patch = encode_patch(raw, base, {});
    REQUIRE(full.codec == Codec::zstd);
    REQUIRE(patch.codec == Codec::zstd_prefix);
    for (const auto& encoded : {full, patch}) {
        for (std::size_t length = 0; length < encoded.bytes.size(); ++length) {
            CHECK(refused(encoded.codec, ByteSpan(encoded.bytes).first(length), base, raw.size()));
        }
        auto longer = encoded.bytes;
        longer.push_back(0);
        CHECK(refused(encoded.codec, longer, base, raw.size()));
        CHECK(refused(encoded.codec, encoded.bytes, base, raw.size() - 1));
        CHECK(refused(encoded.codec, encoded.bytes, base, raw.size() + 1));
    }
    CHECK(refused(Codec::stored, raw, {}, raw.size() + 1));
    CHECK(refused(Codec::stored, raw, {}, raw.size() - 1));
}

TEST_CASE("decode_block: a flipped bit never reaches outside the output", "[delta]") {
    const auto base = samples::text(3'000, 3);
    const auto raw = samples::recompiled(base, 4);
    for (auto encoded : {encode_full(raw, {}), encode_patch(raw, base, {})}) {
        for (auto& byte : encoded.bytes) {
            for (unsigned bit = 0; bit < 8; ++bit) {
                byte = static_cast<std::uint8_t>(byte ^ (1U << bit));
                // Literals may decode to other bytes: the chunk's digest tells.
                (void)decoded(encoded, base, raw.size());
                byte = static_cast<std::uint8_t>(byte ^ (1U << bit));
            }
        }
    }
}

TEST_CASE("decode_block: a patch against a shorter base is refused or gives other bytes",
          "[delta]") {
    const auto base = samples::noise(100'000, 8);
    const Bytes raw(base.begin(), base.end()); // Elsewhere in memory.
    const auto patch = encode_patch(raw, base, {});
    const auto result = decoded(patch, ByteSpan(base).first(50'000), raw.size());
    CHECK((!result || *result != raw));
    CHECK_FALSE(decoded(patch, {}, raw.size()));
}

TEST_CASE("decode_block: a window above 128 MiB, a dictionary and a skippable frame are refused",
          "[delta]") {
    // Magic, descriptor (content size of 4 bytes), window descriptor, content size, empty block.
    Bytes frame = {0x28, 0xB5, 0x2F, 0xFD, 0x80, 17U << 3U, 0, 0, 0, 0, 1, 0, 0};
    CHECK(decode_block(Codec::zstd, frame, {}, {}));
    frame[5] = (17U << 3U) | 1U;
    CHECK(refused(Codec::zstd, frame, {}, 0));
    frame[5] = 0;
    frame[4] = 0x81;
    frame.insert(frame.begin() + 6, 42);
    CHECK(refused(Codec::zstd, frame, {}, 0));
    const Bytes skippable = {0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
    CHECK(refused(Codec::zstd, skippable, {}, 0));
}

TEST_CASE("decode_in_pieces: gives what decode_block gives, for every length", "[delta]") {
    for (const std::size_t size : {1U, 100U, 1024U * 1024U, 12'000'000U}) {
        for (const auto& raw : {samples::text(size, size), samples::noise(size, 1)}) {
            const auto encoded = encode_full(raw, {});
            REQUIRE(decodes_in_pieces(encoded.codec, encoded.bytes));
            CHECK(in_pieces(encoded.codec, encoded.bytes, size) == raw);
        }
    }
    CHECK_FALSE(decodes_in_pieces(Codec::zstd_prefix, {}));
    CHECK_FALSE(decodes_in_pieces(Codec::sdiff, {}));
}

TEST_CASE("decode_in_pieces: truncations, other lengths and larger windows are refused",
          "[delta]") {
    const auto raw = samples::text(3'000, 1);
    const auto full = encode_full(raw, {});
    REQUIRE(full.codec == Codec::zstd);
    for (std::size_t length = 0; length < full.bytes.size(); ++length) {
        CHECK_FALSE(in_pieces(full.codec, ByteSpan(full.bytes).first(length), raw.size()));
    }
    auto longer = full.bytes;
    longer.push_back(0);
    CHECK_FALSE(in_pieces(full.codec, longer, raw.size()));
    CHECK_FALSE(in_pieces(full.codec, full.bytes, raw.size() - 1));
    CHECK_FALSE(in_pieces(Codec::stored, raw, raw.size() + 1));
    // Magic, descriptor, a window descriptor, content size, empty block.
    Bytes frame = {0x28, 0xB5, 0x2F, 0xFD, 0x80, 13U << 3U, 0, 0, 0, 0, 1, 0, 0};
    CHECK(in_pieces(Codec::zstd, frame, 0));
    frame[5] = (13U << 3U) | 1U;
    CHECK_FALSE(decodes_in_pieces(Codec::zstd, frame));
    CHECK_FALSE(in_pieces(Codec::zstd, frame, 0));
}

TEST_CASE("decode_in_pieces: what the taker answers ends it", "[delta]") {
    const auto raw = samples::text(3'000'000, 1);
    const auto full = encode_full(raw, {});
    int pieces = 0;
    const auto done = decode_in_pieces(full.codec, full.bytes, raw.size(), [&](ByteSpan) {
        ++pieces;
        return fail(std::make_error_code(std::errc::no_space_on_device), "write");
    });
    REQUIRE_FALSE(done);
    CHECK(done.error().code == std::errc::no_space_on_device);
    CHECK(pieces == 1);
}

TEST_CASE("codecs: threads do not disturb each other", "[delta]") {
    std::vector<std::thread> threads;
    std::vector<char> good(4, 0);
    threads.reserve(good.size());
    for (std::size_t i = 0; i < good.size(); ++i) {
        threads.emplace_back([i, &good] {
            const auto base = samples::text(400'000, i);
            const auto raw = samples::recompiled(base, i);
            const auto patch = encode_patch(raw, base, {});
            good[i] = decoded(patch, base, raw.size()) == raw ? 1 : 0;
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(good == std::vector<char>(4, 1));
}

} // namespace slipway
