#include "agent/io/journal.h"

#include <catch2/catch.hpp>

#include "agent/core/journal_format.h"
#include "common/core/errc.h"
#include "tests/scratch_directory.h"

namespace slipway::agent {
namespace fs = std::filesystem;

TEST_CASE("journal: the last value of each key is there after a restart", "[journal]") {
    const tests::ScratchDirectory scratch;
    const auto path = scratch / "journal";
    {
        auto journal = Journal::open(path);
        REQUIRE(journal);
        CHECK(journal->values().empty());
        REQUIRE(journal->put("web", "1"));
        REQUIRE(journal->put("db", "2"));
        REQUIRE(journal->put("web", "3"));
    }
    const auto again = Journal::open(path);
    REQUIRE(again);
    CHECK(again->fault().empty());
    CHECK(again->values() == std::map<std::string, std::string>{{"db", "2"}, {"web", "3"}});
}

TEST_CASE("journal: what a killed process left beside it is removed, and nothing else",
          "[journal]") {
    const tests::ScratchDirectory scratch;
    const auto left = temporary_name(scratch.path(), "journal");
    const auto of_another = temporary_name(scratch.path(), "state.json");
    for (const auto& file : {left, of_another}) {
        REQUIRE(replace_file(file, {}));
    }
    REQUIRE(Journal::open(scratch / "journal"));
    CHECK_FALSE(fs::exists(left));
    CHECK(fs::exists(of_another));
}

TEST_CASE("journal: it stays short however long it is used", "[journal]") {
    const tests::ScratchDirectory scratch;
    auto journal = Journal::open(scratch / "journal");
    REQUIRE(journal);
    const std::string value(20'000, 'v');
    for (int i = 0; i < 100; ++i) {
        REQUIRE(journal->put("web", value + std::to_string(i)));
        CHECK(fs::file_size(scratch / "journal") < 400'000);
    }
    const auto again = Journal::open(scratch / "journal");
    REQUIRE(again);
    CHECK(again->values().at("web") == value + "99");
}

TEST_CASE("journal: a torn end is cut off and told, and written on behind it", "[journal]") {
    const tests::ScratchDirectory scratch;
    const auto path = scratch / "journal";
    {
        auto journal = Journal::open(path);
        REQUIRE(journal);
        REQUIRE(journal->put("web", "1"));
        REQUIRE(journal->put("web", "2"));
    }
    fs::resize_file(path, fs::file_size(path) - 1);
    {
        auto journal = Journal::open(path);
        REQUIRE(journal);
        CHECK_FALSE(journal->fault().empty());
        CHECK_FALSE(journal->was_corrupt());
        CHECK(journal->values().at("web") == "1");
        REQUIRE(journal->put("web", "3"));
    }
    const auto again = Journal::open(path);
    REQUIRE(again);
    CHECK(again->fault().empty());
    CHECK(again->values().at("web") == "3");
}

TEST_CASE("journal: damage in the middle is loud, kept for people, and stops nothing",
          "[journal]") {
    const tests::ScratchDirectory scratch;
    const auto path = scratch / "journal";
    auto bytes = journal_header();
    append_journal_entry(bytes, {"web", "1"});
    const auto damaged_at = bytes.size() + 14;
    append_journal_entry(bytes, {"web", "2"});
    append_journal_entry(bytes, {"web", "3"});
    bytes[damaged_at] ^= 1U;
    tests::write_file(path, as_text(bytes));
    const auto journal = Journal::open(path);
    REQUIRE(journal);
    CHECK(journal->was_corrupt());
    CHECK(journal->values().at("web") == "1");
    CHECK(fs::exists(scratch / "journal.damaged"));
}

TEST_CASE("journal: what is too long is refused", "[journal]") {
    const tests::ScratchDirectory scratch;
    auto journal = Journal::open(scratch / "journal");
    REQUIRE(journal);
    CHECK_FALSE(journal->put("web", std::string(journal_value_bytes_max + 1, 'x')));
    CHECK_FALSE(journal->put("", "x"));
    CHECK(journal->values().empty());
}

} // namespace slipway::agent
