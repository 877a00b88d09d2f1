#include "agent/io/read_back.h"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "tests/agent/world.h"

namespace slipway::agent {
namespace {

using namespace world;
namespace fs = std::filesystem;

// A tree as the index says, written below `directory`; what is on the disk can then be damaged.
struct Written {
    explicit Written(std::vector<std::pair<std::string, std::string>> contents) {
        std::vector<IndexEntry> entries;
        for (const auto& [path, content] : contents) {
            entries.push_back(file(path, content));
            std::ofstream(home.path() / path, std::ios::binary) << content;
        }
        tree = read_tree(index_of(entries), "test").value();
    }
    void overwrite(const std::string& path, std::uint64_t offset, char byte) const {
        std::fstream out(home.path() / path, std::ios::binary | std::ios::in | std::ios::out);
        out.seekp(static_cast<std::streamoff>(offset));
        out.put(byte);
    }
    // All chunks, read back; faults as "path why". `known`: seals, in the index's order, or none.
    std::set<std::string> faults(bool is_new, const std::vector<Seal>& known = {}) {
        auto read_back = ReadBack::start(home.path(), tree, key, progress).value();
        std::size_t seal = 0;
        for (const auto number : tree.files) {
            for (std::uint32_t i = 0; i < tree.entries[number].chunks.size(); ++i, ++seal) {
                read_back->add({number, i, is_new, {}, known.empty() ? Seal{} : known[seal]});
            }
        }
        read_back->synced();
        std::set<std::string> told;
        const auto faults = read_back->finish({}).value();
        for (const auto& fault : faults) {
            told.insert(fault.path + " " + fault.why);
        }
        CHECK(read_back->waiting_bytes() == 0);
        seals = read_back->seals();
        return told;
    }
    fakes::TemporaryDirectory home;
    Tree tree;
    SealKey key{1, 2, 3};
    std::vector<Seal> seals; ///< Of the last faults().
    Progress progress{ProgressStyle::none};
};

const std::string large = noise(chunk_bytes_max + 100'001, 1);

} // namespace

TEST_CASE("read back: what is right has no faults, whatever its length and its source",
          "[read_back]") {
    Written written({{"a", noise(1, 2)},
                     {"b", noise(4096, 3)},
                     {"c", noise(4097, 4)},
                     {"d", noise(3'000'000, 5)},
                     {"large", large}});
    CHECK(written.faults(true).empty());
    CHECK(written.faults(false).empty());
}

TEST_CASE("read back: one wrong byte, a short file, a missing one are each named", "[read_back]") {
    const bool is_new = GENERATE(true, false);
    Written written({{"first", noise(5'000, 1)},
                     {"gone", noise(10, 2)},
                     {"large", large},
                     {"right", noise(5'000, 3)},
                     {"short", noise(2'000'000, 4)}});
    written.overwrite("first", 0, static_cast<char>(noise(1, 1)[0] ^ 1));
    written.overwrite("large", chunk_bytes_max + 100'000, static_cast<char>(large.back() ^ 1));
    fs::remove(written.home.path() / "gone");
    fs::resize_file(written.home.path() / "short", 1'999'999);
    CHECK(written.faults(is_new) ==
          std::set<std::string>{"first content differs", "gone is missing", "large content differs",
                                "short is shorter than it was"});
}

TEST_CASE("read back: a symlink in a file's place is not followed", "[read_back]") {
    Written written({{"a", noise(5'000, 1)}, {"b", noise(5'000, 1)}});
    fs::remove(written.home.path() / "b");
    fs::create_symlink("a", written.home.path() / "b");
    CHECK(written.faults(false) == std::set<std::string>{"b is not a file"});
    CHECK(written.faults(true) == std::set<std::string>{"b is not a file"});
}

TEST_CASE("read back: a stop request ends the wait", "[read_back]") {
    Written written({{"a", noise(5'000, 1)}});
    auto read_back =
        ReadBack::start(written.home.path(), written.tree, written.key, written.progress).value();
    std::stop_source stop;
    stop.request_stop();
    read_back->add({0, 0, true}); // Waits for synced(), which never comes.
    const auto finished = read_back->finish(stop.get_token());
    REQUIRE_FALSE(finished);
    CHECK(finished.error().code == Errc::cancelled);
    CHECK(read_back->waiting_bytes() == 5'000);
}

TEST_CASE("read back: with the seals of what was right the same faults are found", "[read_back]") {
    Written written({{"a", noise(1, 2)}, {"b", noise(70'000, 3)}, {"large", large}});
    REQUIRE(written.faults(false).empty());
    const auto seals = written.seals;
    REQUIRE(seals.size() == 4);
    CHECK(std::ranges::all_of(seals, &Seal::is_there));
    CHECK(written.faults(false, seals).empty());
    CHECK(written.seals == seals); // They fit, so none was made anew.

    written.overwrite("b", 69'999, static_cast<char>(noise(70'000, 3).back() ^ 1));
    CHECK(written.faults(false, seals) == std::set<std::string>{"b content differs"});
    CHECK_FALSE(written.seals[1].is_there());
    fs::resize_file(written.home.path() / "large", chunk_bytes_max + 100'000);
    CHECK(written.faults(false, seals) ==
          std::set<std::string>{"b content differs", "large is shorter than it was"});
}

TEST_CASE("read back: seals that do not fit are no faults, and are made anew", "[read_back]") {
    Written written({{"a", noise(5'000, 2)}, {"b", noise(70'000, 3)}});
    REQUIRE(written.faults(false).empty());
    const auto seals = written.seals;
    SECTION("of another key") {
        written.key[0] ^= 1;
    }
    SECTION("changed places") {
        CHECK(written.faults(true, {seals[1], seals[0]}).empty());
    }
    SECTION("damaged") {
        auto damaged = seals;
        damaged[0].tag[15] ^= 1;
        damaged[1].nonce[0] ^= 1;
        CHECK(written.faults(true, damaged).empty());
        CHECK(written.seals != damaged);
    }
    CHECK(written.faults(true, seals).empty());
    CHECK(std::ranges::all_of(written.seals, &Seal::is_there));
}

TEST_CASE("read back: a seal of bytes in memory tells when the disk has others", "[read_back]") {
    const auto content = noise(9'000, 4);
    Written written({{"a", content}});
    const bool is_damaged = GENERATE(false, true);
    if (is_damaged) {
        written.overwrite("a", 8'000, static_cast<char>(content[8'000] ^ 1));
    }
    auto read_back =
        ReadBack::start(written.home.path(), written.tree, written.key, written.progress).value();
    read_back->add({0, 0, true, as_bytes(content)});
    read_back->synced();
    CHECK(read_back->finish({}).value().empty() != is_damaged);
}

TEST_CASE("read back: what is written meanwhile, because much waits, is read too", "[read_back]") {
    const auto content = noise((1 << 20) - 1, 5);
    std::vector<std::pair<std::string, std::string>> contents;
    for (int i = 100; i < 230; ++i) {
        contents.emplace_back(std::to_string(i), content);
    }
    Written written(contents);
    written.overwrite("101", 7, static_cast<char>(content[7] ^ 1));
    CHECK(written.faults(true) == std::set<std::string>{"101 content differs"});
}

} // namespace slipway::agent
