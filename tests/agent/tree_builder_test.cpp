#include "agent/io/tree_builder.h"

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "common/core/errc.h"
#include "tests/agent/world.h"

namespace slipway::agent {
namespace {

using namespace world;
namespace fs = std::filesystem;

struct stat info_of(const fs::path& path) {
    struct stat info{};
    REQUIRE(::lstat(path.c_str(), &info) == 0);
    return info;
}

const std::string a = noise(5'000, 1);
const std::string b = noise(70'000, 2);

std::vector<IndexEntry> sample() {
    auto run = file("bin/run", b, 04755);
    run.linked = true;
    return {directory("bin", 0755),
            run,
            link("bin/run2", "bin/run", EntryKind::hard_link),
            directory("empty", 0700),
            file("nothing", "", 0600),
            file("same", a),
            file("same2", a, 0640),
            link("sym", "../outside\n", EntryKind::symlink)};
}

Pack sample_pack() {
    Pack pack;
    pack.add({a, b});
    return pack;
}

} // namespace

TEST_CASE("build: kinds, modes, links and contents are what the index says", "[builder]") {
    Host host;
    REQUIRE(host.build("1", sample(), sample_pack()));
    CHECK(host.verify(sample()).empty());
    CHECK(host.content("bin/run") == b);
    const auto run = info_of(host.paths.current() / "bin/run");
    CHECK((run.st_mode & 07777U) == 04555U);
    CHECK(run.st_ino == info_of(host.paths.current() / "bin/run2").st_ino);
    CHECK((info_of(host.paths.current() / "empty").st_mode & 07777U) == 0500U);
    CHECK(fs::read_symlink(host.paths.current() / "sym") == "../outside\n");
    CHECK(host.store.leftovers().empty());
}

TEST_CASE("build: unchanged files are hard links, others are not", "[builder]") {
    Host host;
    REQUIRE(host.build("1", sample(), sample_pack()));
    const auto old = info_of(host.paths.current() / "bin/run");
    const auto c = noise(6'000, 3);
    auto next = sample();
    next[5] = file("same", c);
    next[6] = file("same2", a, 0600); // The mode changed: a copy.
    Pack pack;
    pack.add_patch(a, c);
    const auto built = host.build("2", next, pack);
    REQUIRE(built);
    CHECK(host.verify(next).empty());
    CHECK(built->report.linked_files == 1);
    CHECK(built->report.copied_files == 1);
    CHECK(info_of(host.paths.current() / "bin/run").st_ino == old.st_ino);
    CHECK(host.content("same") == c);
}

TEST_CASE("build: a corrupt base is found, distrusted and gone around", "[builder]") {
    Host host;
    REQUIRE(host.build("1", sample(), sample_pack()));
    auto wrong = a;
    wrong[100] = static_cast<char>(wrong[100] ^ 1);
    host.damage("same", wrong);
    host.damage("same2", wrong);
    auto c = a;
    c[4'000] = static_cast<char>(c[4'000] ^ 1);
    Pack pack;
    pack.add_patch(a, c);
    pack.add({c});
    const auto built = host.build("2", {file("same", c)}, pack);
    REQUIRE(built);
    CHECK(built->rounds == 2);
    CHECK(host.content("same") == c);
}

TEST_CASE("build: a corrupt file that was linked is fetched instead", "[builder]") {
    Host host;
    REQUIRE(host.build("1", sample(), sample_pack()));
    host.damage("bin/run", noise(70'000, 9));
    auto next = sample();
    next.erase(next.begin() + 3); // Another index: another release.
    const auto built = host.build("2", next, sample_pack());
    REQUIRE(built);
    CHECK(built->rounds == 2);
    CHECK(host.content("bin/run") == b);
    CHECK(host.verify(next).empty());
}

TEST_CASE("build: patches of patches go through scratch", "[builder]") {
    Host host;
    REQUIRE(host.build("1", sample(), sample_pack()));
    auto second = a + "2";
    auto third = second + "3";
    Pack pack;
    pack.add_patch(a, second);
    pack.add_patch(second, third);
    REQUIRE(host.build("3", {file("same", third)}, pack));
    CHECK(host.content("same") == third);
}

TEST_CASE("build: files larger than a chunk are put together from parts", "[builder]") {
    Host host;
    std::string big(chunk_bytes_max, 'x');
    const auto tail = noise(1'000'000, 4);
    Pack pack;
    pack.add({big});
    pack.add({tail});
    REQUIRE(host.build("1", {file("big", big + tail)}, pack));
    CHECK(host.verify({file("big", big + tail)}).empty());

    const auto other = noise(1'000'000, 5);
    Pack next;
    next.add({other});
    const auto built = host.build("2", {file("big", big + other)}, next);
    REQUIRE(built);
    CHECK(built->report.copied_bytes == chunk_bytes_max);
    CHECK(host.verify({file("big", big + other)}).empty());
}

TEST_CASE("build: a pack whose blocks decode to something else is refused and named", "[builder]") {
    Host host;
    auto pack = sample_pack();
    pack.raw()[3'000] ^= 1;
    const auto built = host.build("1", sample(), pack);
    REQUIRE_FALSE(built);
    CHECK(built.error().code == Errc::verification_failed);
    CHECK(built.error().context.find("pack test, block at byte 8") == 0);
}

TEST_CASE("verify: names each bad, missing and extra path", "[builder]") {
    Host host;
    REQUIRE(host.build("1", sample(), sample_pack()));
    const auto current = host.paths.current() / "";
    auto wrong = a;
    wrong[0] = static_cast<char>(wrong[0] ^ 1);
    host.damage("same", wrong);
    host.damage("same2", "short");
    fs::permissions(current, fs::perms(0755));
    fs::permissions(current / "empty", fs::perms(0755));
    std::ofstream(current / "empty/extra") << "x";
    fs::remove(current / "sym");
    fs::create_symlink("elsewhere", current / "sym");
    fs::remove(current / "nothing");
    std::vector<std::string> told;
    for (const auto& fault : host.verify(sample())) {
        told.push_back(fault.path + " " + fault.why);
    }
    CHECK(told == std::vector<std::string>{
                      "empty has mode 0755, should have 0500", "empty/extra is not in the index",
                      "nothing is missing", "same content differs",
                      "same2 has 5 bytes, should have 5000", "sym points elsewhere"});
}

TEST_CASE("walker: a symlink in the way is refused, even one that leads back inside", "[builder]") {
    const fakes::TemporaryDirectory home;
    fs::create_directory(home.path() / "real");
    fs::create_symlink("real", home.path() / "link");
    auto pool = WalkerPool::open(home.path());
    REQUIRE(pool);
    const auto touch = [](int, const char*) { return Result<>{}; };
    CHECK(pool->at("real/x", touch));
    CHECK_FALSE(pool->at("link/x", touch));
    CHECK_FALSE(pool->at("real/../link/x", touch));
}

TEST_CASE("walker: goes deeper than it keeps directories open", "[builder]") {
    const fakes::TemporaryDirectory home;
    std::string path;
    for (int depth = 0; depth < 100; ++depth) {
        path += "d/";
    }
    fs::create_directories(home.path() / path);
    auto pool = WalkerPool::open(home.path());
    REQUIRE(pool);
    for (int again = 0; again < 2; ++again) {
        bool found = false;
        CHECK(pool->at(path + "x", [&](int parent, const char*) -> Result<> {
            found = ::faccessat(parent, "../d", 0, 0) == 0;
            return {};
        }));
        CHECK(found);
    }
}

} // namespace slipway::agent
