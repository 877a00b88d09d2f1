#include "common/repository/patch_room.h"

#include <algorithm>
#include <numeric>

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "tests/common/repository/sample_repository.h"

namespace slipway {
namespace {

std::string counted(std::size_t bytes) {
    std::string text(bytes, '\0');
    std::iota(text.begin(), text.end(), '\0');
    return text;
}

} // namespace

TEST_CASE("PatchRoom: raw begins where the base ends, and the base's file stays as it is",
          "[publish]") {
    const tests::ScratchDirectory scratch;
    const auto text = counted(20'000);
    tests::write_file(scratch / "file", text);
    for (const std::size_t offset : {0U, 1U, 4096U, 5000U}) {
        for (const std::size_t bytes : {1U, 4096U, 10'000U}) {
            auto room = PatchRoom::behind_file(scratch / "file", offset, bytes, 7000);
            REQUIRE(room);
            CHECK(room->base().data() + bytes == room->raw().data());
            std::ranges::fill(room->raw(), std::uint8_t{0xEE});
            CHECK(as_text(room->base()) == text.substr(offset, bytes));
            CHECK(std::ranges::count(room->raw(), 0xEE) == 7000);
        }
    }
    CHECK(as_text(*read_file(scratch / "file", 30'000)) == text);
}

TEST_CASE("PatchRoom: a file that is too short is refused", "[publish]") {
    const tests::ScratchDirectory scratch;
    tests::write_file(scratch / "file", "short");
    const auto room = PatchRoom::behind_file(scratch / "file", 2, 4, 10);
    REQUIRE_FALSE(room);
    CHECK(room.error().code == Errc::verification_failed);
}

TEST_CASE("PatchRoom: without a file the base is copied in", "[publish]") {
    PatchRoom room(3, 5'000'000);
    std::ranges::copy(as_bytes("abc"), room.base_room().begin());
    room.raw().back() = 'z';
    CHECK(as_text(room.base()) == "abc");
    CHECK(room.raw().size() == 5'000'000);
}

} // namespace slipway
