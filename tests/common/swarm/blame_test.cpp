#include "common/swarm/blame.h"

#include <catch2/catch.hpp>

namespace slipway::swarm {
namespace {

using Names = std::set<std::string>;

} // namespace

TEST_CASE("Blame: of two senders of a bad piece, the one whose block changed is guilty",
          "[blame]") {
    Blame blame;
    blame.block(7, 0, "good", 1);
    blame.block(7, 16384, "bad", 99);
    blame.failed(7);
    blame.block(7, 0, "good", 1);
    blame.block(7, 16384, "good", 2);
    CHECK(blame.passed(7) == Names{"bad"});
    CHECK(blame.passed(7).empty());
}

TEST_CASE("Blame: a guilty peer is found after several failures, and beside others", "[blame]") {
    Blame blame;
    for (const auto* liar : {"a", "b"}) {
        blame.block(1, 0, "good", 1);
        blame.block(1, 16384, liar, 50);
        blame.failed(1);
    }
    blame.block(1, 0, "c", 1);
    blame.block(1, 16384, "c", 2);
    CHECK(blame.passed(1) == Names{"a", "b"});
}

TEST_CASE("Blame: a piece that passes at once blames nobody", "[blame]") {
    Blame blame;
    blame.block(1, 0, "a", 1);
    blame.block(1, 16384, "b", 2);
    CHECK(blame.passed(1).empty());
}

TEST_CASE("Blame: without blocks to compare with, nobody is blamed", "[blame]") {
    Blame blame;
    blame.block(1, 0, "a", 1);
    blame.failed(1);
    CHECK(blame.passed(1).empty()); // A web seed delivered it.
    CHECK(blame.passed(2).empty());
}

TEST_CASE("Quarantine: holds all senders but one until the piece is settled", "[blame]") {
    const Quarantine::TimePoint now{};
    Quarantine quarantine;
    quarantine.failed(3, {"a", "b", "c"}, now);
    CHECK_FALSE(quarantine.holds("a", now));
    CHECK(quarantine.holds("b", now));
    CHECK(quarantine.holds("c", now));
    CHECK_FALSE(quarantine.holds("stranger", now));
    SECTION("by passing") {
        quarantine.passed(3);
    }
    SECTION("by failing because of one peer alone") {
        quarantine.failed(3, {"a"}, now);
    }
    CHECK_FALSE(quarantine.holds("b", now));
}

TEST_CASE("Quarantine: another failure of the piece holds the new senders too", "[blame]") {
    const Quarantine::TimePoint now{};
    Quarantine quarantine;
    quarantine.failed(3, {"a", "b"}, now);
    quarantine.failed(3, {"a", "z"}, now);
    CHECK_FALSE(quarantine.holds("a", now));
    CHECK(quarantine.holds("b", now));
    CHECK(quarantine.holds("z", now));
}

TEST_CASE("Quarantine: other pieces do not disturb it, and it ends by time", "[blame]") {
    const Quarantine::TimePoint now{};
    Quarantine quarantine;
    quarantine.failed(3, {"a", "b"}, now);
    quarantine.failed(4, {"b", "c"}, now);
    quarantine.passed(4);
    CHECK(quarantine.holds("b", now));
    CHECK_FALSE(quarantine.holds("c", now));
    CHECK_FALSE(quarantine.holds("b", now + Quarantine::longest));
    quarantine.failed(4, {"b", "c"}, now + Quarantine::longest);
    CHECK_FALSE(quarantine.holds("b", now + Quarantine::longest));
    CHECK(quarantine.holds("c", now + Quarantine::longest));
}

TEST_CASE("block_checksum: tells every flipped byte and every length apart", "[blame]") {
    Bytes block(100, 0x5a);
    const auto right = block_checksum(block, 42);
    for (std::size_t i = 0; i < block.size(); ++i) {
        block[i] ^= 1U;
        CHECK(block_checksum(block, 42) != right);
        block[i] ^= 1U;
        CHECK(block_checksum(ByteSpan(block).first(i), 42) != right);
    }
    CHECK(block_checksum(block, 42) == right);
    CHECK(block_checksum(block, 43) != right);
}

} // namespace slipway::swarm
