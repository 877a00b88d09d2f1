#include "agent/io/file_ops.h"

#include <catch2/catch.hpp>

#include <fstream>

#include "tests/fakes/temporary_directory.h"

namespace slipway::agent {
namespace fs = std::filesystem;

TEST_CASE("remove: takes away read-only trees, and never follows a symlink", "[file_ops]") {
    const fakes::TemporaryDirectory home;
    RealFileOps disk;
    const auto tree = home.path() / "tree";
    fs::create_directories(tree / "a/b");
    fs::create_directory(home.path() / "outside");
    std::ofstream(home.path() / "outside/file") << "x";
    std::ofstream(tree / "a/b/file") << "x";
    fs::create_symlink("../../outside", tree / "a/link");
    REQUIRE(disk.set_mode(tree / "a/b", 0555));
    REQUIRE(disk.set_mode(tree, 0555));
    REQUIRE(disk.remove(tree));
    CHECK_FALSE(fs::exists(tree));
    CHECK(fs::exists(home.path() / "outside/file"));
    CHECK(disk.remove(tree));
}

TEST_CASE("exchange: both names change places", "[file_ops]") {
    const fakes::TemporaryDirectory home;
    RealFileOps disk;
    fs::create_directory(home.path() / "a");
    std::ofstream(home.path() / "b") << "x";
    REQUIRE(disk.exchange(home.path() / "a", home.path() / "b"));
    CHECK(fs::is_regular_file(home.path() / "a"));
    CHECK(fs::is_directory(home.path() / "b"));
}

} // namespace slipway::agent
