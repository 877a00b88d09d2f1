#include "common/repository/tree.h"

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "common/core/errc.h"
#include "common/repository/content.h"
#include "tests/scratch_directory.h"

namespace slipway {
namespace fs = std::filesystem;
namespace {

using tests::ScratchDirectory;
using tests::write_file;

} // namespace

TEST_CASE("tree: names come in the order of the index, links and modes included", "[tree]") {
    const ScratchDirectory scratch;
    write_file(scratch / "a/z", "z");
    write_file(scratch / "a!", "1");
    fs::create_hard_link(scratch / "a/z", scratch / "b");
    fs::create_symlink("nowhere", scratch / "c");
    REQUIRE(::chmod((scratch / "a!").c_str(), 01640) == 0);
    const auto tree = Tree::walk(scratch.path(), {}, {});
    REQUIRE(tree);
    const auto& names = tree->names();
    REQUIRE(names.size() == 5);
    CHECK(names[0].path == "a");
    CHECK(names[0].kind == EntryKind::directory);
    CHECK(names[1].path == "a/z");
    CHECK(names[1].linked);
    CHECK(names[2].path == "a!");
    CHECK(names[2].mode == 01640);
    CHECK(names[3].kind == EntryKind::hard_link);
    CHECK(names[3].first == 1);
    CHECK(names[4].target == "nowhere");
}

TEST_CASE("tree: a hard link whose other name is elsewhere is a file", "[tree]") {
    const ScratchDirectory scratch;
    const ScratchDirectory elsewhere;
    write_file(scratch / "a", "z");
    fs::create_hard_link(scratch / "a", elsewhere / "b");
    const auto tree = Tree::walk(scratch.path(), {}, {});
    REQUIRE(tree);
    CHECK(tree->names().front().kind == EntryKind::file);
    CHECK_FALSE(tree->names().front().linked);
}

TEST_CASE("content: a file that changes after it was walked or hashed is noticed", "[tree]") {
    const ScratchDirectory scratch;
    const ScratchDirectory temporary;
    const auto file = scratch / "tree/file";
    write_file(file, "before");
    auto tree = Tree::walk(scratch / "tree", {}, {});
    REQUIRE(tree);
    SECTION("between walk and hash") {
        write_file(file, "after, and longer");
        const auto content = Content::scan(std::move(*tree), temporary.path(), nullptr, {});
        REQUIRE_FALSE(content);
        CHECK(content.error().code == Errc::changed);
        CHECK(content.error().context.find(file.string()) != std::string::npos);
    }
    SECTION("replaced by a symlink") {
        fs::rename(file, scratch / "tree/other");
        fs::create_symlink("other", file);
        const auto content = Content::scan(std::move(*tree), temporary.path(), nullptr, {});
        REQUIRE_FALSE(content);
        CHECK(content.error().code == Errc::changed);
    }
    SECTION("between hash and use") {
        const auto content = Content::scan(std::move(*tree), temporary.path(), nullptr, {});
        REQUIRE(content);
        write_file(file, "behind");
        for (const auto& chunk : content->chunks()) {
            if (!chunk.is_index()) {
                const auto read = content->read(chunk);
                REQUIRE_FALSE(read);
                CHECK(read.error().code == Errc::changed);
            }
        }
    }
    SECTION("a name that comes later") {
        const auto content = Content::scan(std::move(*tree), temporary.path(), nullptr, {});
        REQUIRE(content);
        CHECK(content->tree().check_directories());
        write_file(scratch / "tree/new", "new");
        const auto checked = content->tree().check_directories();
        REQUIRE_FALSE(checked);
        CHECK(checked.error().code == Errc::changed);
    }
}

TEST_CASE("content: equal files are one chunk", "[tree]") {
    const ScratchDirectory scratch;
    const ScratchDirectory temporary;
    write_file(scratch / "a", "same");
    write_file(scratch / "b", "same");
    write_file(scratch / "empty", "");
    auto content =
        Content::scan(*Tree::walk(scratch.path(), {}, {}), temporary.path(), nullptr, {});
    REQUIRE(content);
    CHECK(content->chunks().size() == 2); // The file index is the other.
    CHECK(content->summary().files == 3);
}

} // namespace slipway
