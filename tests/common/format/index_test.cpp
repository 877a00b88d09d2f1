#include "common/format/index.h"

#include <algorithm>
#include <map>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include "common/core/errc.h"
#include "tests/bad_input.h"

namespace slipway {
namespace {

Sha256Digest digest_of(std::string_view text) {
    return sha256(as_bytes(text));
}

IndexEntry directory(std::string path) {
    return {.path = std::move(path), .kind = EntryKind::directory, .mode = 0755};
}
IndexEntry file(std::string path, std::uint64_t bytes = 5) {
    IndexEntry entry{.path = std::move(path), .kind = EntryKind::file, .mode = 0644};
    entry.bytes = bytes;
    for (std::uint64_t i = 0; i < chunk_count(bytes); ++i) {
        entry.chunks.push_back(digest_of(entry.path + std::to_string(i)));
    }
    return entry;
}
IndexEntry linked_file(std::string path) {
    auto entry = file(std::move(path));
    entry.linked = true;
    return entry;
}
IndexEntry symlink(std::string path, std::string target) {
    IndexEntry entry{.path = std::move(path), .kind = EntryKind::symlink};
    entry.target = std::move(target);
    return entry;
}
IndexEntry hard_link(std::string path, std::string target) {
    IndexEntry entry{.path = std::move(path), .kind = EntryKind::hard_link};
    entry.target = std::move(target);
    return entry;
}

Result<Bytes> write(const std::vector<IndexEntry>& entries) {
    Bytes bytes;
    IndexWriter writer([&](ByteSpan piece) -> Result<> {
        bytes.insert(bytes.end(), piece.begin(), piece.end());
        return {};
    });
    for (const auto& entry : entries) {
        if (auto added = writer.add(entry); !added) {
            return tl::unexpected(added.error());
        }
    }
    return writer.finish().map([&](const IndexSummary&) { return bytes; });
}

Result<std::vector<IndexEntry>> read(ByteSpan bytes) {
    std::vector<IndexEntry> entries;
    return for_each_entry(bytes, "index",
                          [&](const IndexEntry& entry) -> Result<> {
                              entries.push_back(entry);
                              return {};
                          })
        .map([&](const IndexSummary&) { return entries; });
}

const std::vector<IndexEntry> sample = {
    directory("bin"),
    linked_file("bin/server"),
    hard_link("bin/server-debug", "bin/server"),
    directory("bin.d"),
    file("big", 2 * chunk_bytes_max + 1),
    file("empty", 0),
    symlink("latest", "../anywhere"),
    file("na\xff\nme"),
};

std::vector<IndexEntry> sorted(std::vector<IndexEntry> entries) {
    std::ranges::sort(entries, [](const IndexEntry& left, const IndexEntry& right) {
        return index_order(left.path, right.path);
    });
    return entries;
}

// A random tree: names over few bytes, so that prefixes, order and duplicates are all met.
std::vector<IndexEntry> random_tree() {
    std::map<std::string, IndexEntry> by_path;
    std::vector<std::string> directories{""};
    const auto count = *rc::gen::inRange(0, 40);
    for (int i = 0; i < count; ++i) {
        const auto parent = *rc::gen::elementOf(directories);
        const auto name = *rc::gen::nonEmpty(
            rc::gen::container<std::string>(rc::gen::element('a', 'b', '\x01', '\xff', '-', '0')));
        const auto path = parent.empty() ? name : parent + "/" + name;
        if (by_path.contains(path) || path.size() > path_bytes_max ||
            name.size() > name_bytes_max) {
            continue;
        }
        switch (*rc::gen::inRange(0, 3)) {
        case 0:
            by_path.emplace(path, directory(path));
            directories.push_back(path);
            break;
        case 1:
            by_path.emplace(path, file(path, *rc::gen::inRange<std::uint64_t>(0, 1U << 28U)));
            break;
        default:
            by_path.emplace(path, symlink(path, name));
        }
    }
    std::vector<IndexEntry> entries;
    for (auto& [path, entry] : by_path) {
        entries.push_back(std::move(entry));
    }
    return sorted(std::move(entries));
}

} // namespace

TEST_CASE("index_order: a directory stands just before what it holds", "[index]") {
    CHECK(index_order("a", "a/b"));
    CHECK(index_order("a/b", "a!"));
    CHECK(index_order("a/z", "a-b"));
    CHECK_FALSE(index_order("a", "a"));
    CHECK(index_order("a\x7f", "a\x80")); // Bytes, not signed characters.
}

TEST_CASE("chunk_length: a file is cut into runs of 64 MiB and the rest", "[index]") {
    CHECK(chunk_count(0) == 0);
    CHECK(chunk_count(chunk_bytes_max) == 1);
    CHECK(chunk_count(chunk_bytes_max + 1) == 2);
    CHECK(chunk_length(chunk_bytes_max + 1, 0) == chunk_bytes_max);
    CHECK(chunk_length(chunk_bytes_max + 1, 1) == 1);
}

TEST_CASE("index: what was written is read", "[index]") {
    const auto entries = sorted(sample);
    const auto bytes = write(entries);
    REQUIRE(bytes);
    const auto again = read(*bytes);
    REQUIRE(again);
    CHECK(*again == entries);
}

TEST_CASE("index: any tree survives writing and reading", "[index]") {
    CHECK(rc::check([] {
        const auto entries = random_tree();
        const auto bytes = write(entries);
        RC_ASSERT(bytes.has_value());
        const auto again = read(*bytes);
        RC_ASSERT(again.has_value());
        RC_ASSERT(*again == entries);
    }));
}

TEST_CASE("index: the writer hands out its bytes in pieces", "[index]") {
    std::size_t largest = 0;
    IndexWriter writer([&](ByteSpan piece) -> Result<> {
        largest = std::max(largest, piece.size());
        return {};
    });
    for (int i = 100'000; i < 200'000; ++i) {
        REQUIRE(writer.add(file(std::to_string(i))));
    }
    const auto summary = writer.finish();
    REQUIRE(summary);
    CHECK(summary->entries == 100'000);
    CHECK(summary->tree_bytes == 500'000);
    CHECK(largest < 70'000);
}

TEST_CASE("index: what breaks a rule is refused with its path", "[index]") {
    const auto refused = [](const std::vector<IndexEntry>& entries) {
        const auto bytes = write(entries);
        return !bytes && bytes.error().context.find('\'') != std::string::npos;
    };
    CHECK(refused({file("")}));
    CHECK(refused({file("/a")}));
    CHECK(refused({directory("a"), file("a/../b")}));
    CHECK(refused({file("./a")}));
    CHECK(refused({file("a/")}));
    CHECK(refused({file(std::string("a\0b", 3))}));
    CHECK(refused({file(std::string(256, 'n'))}));
    CHECK(refused({file("b"), file("a")}));
    CHECK(refused({file("a"), file("a")}));
    CHECK(refused({file("a/b")}));                            // No entry for the parent.
    CHECK(refused({symlink("a", "b"), file("a/b")}));         // Through a symlink.
    CHECK(refused({file("a"), file("a/b")}));                 // Below a file.
    CHECK(refused({directory("a"), file("b"), file("b/c")})); // Another directory is open.
    CHECK(refused({hard_link("b", "a")}));                    // To nothing.
    CHECK(refused({file("a"), hard_link("b", "a")}));         // To a file that is not marked.
    CHECK(refused({directory("a"), hard_link("b", "a")}));    // To a directory.
    CHECK(refused({symlink("a", "x"), hard_link("b", "a")})); // To a symlink.
    CHECK(refused({symlink("a", "")}));
    auto bad = file("a");
    bad.mode = 010000;
    CHECK(refused({bad}));
    bad = file("a");
    bad.chunks.clear();
    CHECK(refused({bad}));
    CHECK_FALSE(write({linked_file("a")})); // Marked, but nothing links to it.
}

TEST_CASE("index: no damage is read as another tree", "[index]") {
    // A changed digest, length, mode or name is a well-formed index of another tree: the digest in
    // the manifest finds it. Structure must be refused here.
    const auto bytes = write(sorted(sample));
    REQUIRE(bytes);
    tests::check_refuses_damage(*bytes, false, [](ByteSpan damaged) -> std::optional<Error> {
        const auto entries = read(damaged);
        if (!entries) {
            return entries.error();
        }
        const auto again = write(*entries);
        REQUIRE(again); // Writer and reader agree, and one tree has one index.
        CHECK(std::ranges::equal(*again, damaged));
        return std::nullopt;
    });
}

} // namespace slipway
