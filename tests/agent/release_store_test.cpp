#include "agent/io/release_store.h"

#include <catch2/catch.hpp>

#include <fstream>

#include "common/core/errc.h"
#include "tests/fakes/flaky_file_ops.h"
#include "tests/fakes/temporary_directory.h"

namespace slipway::agent {
namespace {

namespace fs = std::filesystem;
const std::string now = "2026-01-01T00:00:00Z";

ReleaseRecord record_of(const std::string& version) {
    return {{"web", version}, sha256(as_bytes(version)), now, 1, 1};
}
const ReleaseId v1 = record_of("1").id();
const ReleaseId v2 = record_of("2").id();

void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
}

struct Host {
    fakes::TemporaryDirectory home;
    RealFileOps disk;
    ServicePaths paths{"web", home.path() / "services/web"};
    ReleaseStore store{disk, paths};

    void stage(const std::string& version) {
        const auto record = record_of(version);
        write(paths.staging() / "tree/file", version);
        write(paths.staging() / "record/release.json", encode_release_record(record));
        write(paths.staging() / "record/index", "");
    }
    Result<> adopt(FileOps& files, const std::string& version) {
        return ReleaseStore(files, paths)
            .adopt(record_of(version).id(), paths.staging() / "tree", paths.staging() / "record");
    }
    Result<> install(FileOps& files, const std::string& version) {
        ReleaseStore flaky(files, paths);
        auto history = flaky.recover(now);
        if (!history) {
            return tl::unexpected(history.error());
        }
        stage(version);
        const auto id = record_of(version).id();
        return adopt(files, version).and_then([&] {
            return flaky.activate(*history, after_install(*history, id, now));
        });
    }
    Result<> roll_back(FileOps& files) {
        ReleaseStore flaky(files, paths);
        return flaky.recover(now).and_then([&](const History& history) {
            return after_rollback(history, {}, now).and_then([&](const auto& stack) {
                return flaky.activate(history, stack);
            });
        });
    }
    std::string running() { return store.current().value().value_or(ReleaseId{}).text; }
    std::string content() {
        std::string text;
        std::ifstream(paths.current() / "file") >> text;
        return text;
    }
    bool tidy() { return store.leftovers().empty(); }
    std::string previous() {
        std::error_code ec;
        return fs::read_symlink(paths.previous(), ec).string();
    }
};

} // namespace

TEST_CASE("store: the first install has no previous, the second has", "[store]") {
    Host host;
    CHECK(host.store.current().value() == std::nullopt);
    REQUIRE(host.install(host.disk, "1"));
    CHECK(host.content() == "1");
    CHECK(host.previous().empty());
    REQUIRE(host.install(host.disk, "2"));
    CHECK(host.content() == "2");
    CHECK(host.previous() == "releases/" + v1.text);
    CHECK(host.store.installed()->size() == 2);
    CHECK((fs::status(host.paths.release(v1)).permissions() & fs::perms::mask) == fs::perms(0555));
    REQUIRE(host.roll_back(host.disk));
    CHECK(host.content() == "1");
    CHECK(host.previous().empty());
    CHECK(host.roll_back(host.disk).error().code == Errc::not_found);
}

// Fails after 0, 1, 2, ... calls until the install succeeds: every point of failure is visited.
TEST_CASE("install: whichever call fails, current is whole and a second run ends it", "[store]") {
    for (int allowed = 0, finished = 0; !finished; ++allowed) {
        CAPTURE(allowed);
        Host host;
        REQUIRE(host.install(host.disk, "1"));
        fakes::FlakyFileOps flaky{host.disk, allowed};
        finished = host.install(flaky, "2").has_value();
        CHECK((host.content() == "1" || host.content() == "2"));
        const auto seen = host.store.history(now);
        REQUIRE(seen);
        CHECK(seen->current()->text == host.running());

        REQUIRE(host.store.recover(now));
        CHECK(host.tidy());
        CHECK(seen->previous() == host.store.history(now)->previous());
        REQUIRE(host.install(host.disk, "2"));
        CHECK(host.content() == "2");
        CHECK(host.previous() == "releases/" + v1.text);
        REQUIRE(host.store.recover(now));
        CHECK(host.tidy());
    }
}

TEST_CASE("rollback: whichever call fails, current is whole and recovery agrees with it",
          "[store]") {
    for (int allowed = 0, finished = 0; !finished; ++allowed) {
        CAPTURE(allowed);
        Host host;
        REQUIRE(host.install(host.disk, "1"));
        REQUIRE(host.install(host.disk, "2"));
        fakes::FlakyFileOps flaky{host.disk, allowed};
        finished = host.roll_back(flaky).has_value();
        const auto history = host.store.recover(now);
        REQUIRE(history);
        CHECK(host.tidy());
        const bool rolled_back = host.content() == "1";
        CHECK(history->activations.size() == (rolled_back ? 1 : 2));
        CHECK(host.previous() == (rolled_back ? "" : "releases/" + v1.text));
        CHECK((rolled_back || !finished));
        if (!rolled_back) {
            REQUIRE(host.roll_back(host.disk));
            CHECK(host.content() == "1");
        }
    }
}

TEST_CASE("repair: a damaged current release is exchanged and never missing", "[store]") {
    for (int allowed = 0, finished = 0; !finished; ++allowed) {
        CAPTURE(allowed);
        Host host;
        REQUIRE(host.install(host.disk, "1"));
        fs::permissions(host.paths.release(v1), fs::perms(0755));
        write(host.paths.release(v1) / "file", "damaged");
        fakes::FlakyFileOps flaky{host.disk, allowed};
        finished = host.install(flaky, "1").has_value();
        CHECK((host.content() == "1" || host.content() == "damaged"));
        CHECK((host.content() == "1" || !finished));
        REQUIRE(host.install(host.disk, "1"));
        CHECK(host.content() == "1");
        CHECK(host.store.history(now)->activations.size() == 1);
    }
}

TEST_CASE("remove: whichever call fails, the release is whole or gone", "[store]") {
    for (int allowed = 0, finished = 0; !finished; ++allowed) {
        CAPTURE(allowed);
        Host host;
        REQUIRE(host.install(host.disk, "1"));
        REQUIRE(host.install(host.disk, "2"));
        fakes::FlakyFileOps flaky{host.disk, allowed};
        finished = ReleaseStore(flaky, host.paths).remove(v1).has_value();
        CHECK(host.content() == "2");
        CHECK(fs::exists(host.paths.release(v1)) == host.store.is_whole(v1));
        REQUIRE(host.store.recover(now));
        CHECK(host.tidy());
        CHECK((host.store.is_whole(v1) || host.previous().empty()));
    }
}

TEST_CASE("recover: a damaged state file is made anew from the symlinks", "[store]") {
    for (const std::string damage : {"", "{", "{\"version\":9}"}) {
        Host host;
        REQUIRE(host.install(host.disk, "1"));
        REQUIRE(host.install(host.disk, "2"));
        write(host.paths.state(), damage);
        const auto history = host.store.recover(now);
        REQUIRE(history);
        CHECK(history->current() == v2);
        CHECK(history->previous() == v1);
        REQUIRE(host.roll_back(host.disk));
        CHECK(host.content() == "1");
    }
}

TEST_CASE("activate: a release that is not whole is refused and nothing changes", "[store]") {
    Host host;
    REQUIRE(host.install(host.disk, "1"));
    const auto history = host.store.recover(now);
    REQUIRE(history);
    const auto refused = host.store.activate(*history, after_install(*history, v2, now));
    CHECK(refused.error().code == Errc::not_found);
    CHECK(host.content() == "1");
}

TEST_CASE("current: a directory or a foreign symlink in its place is an error that names it",
          "[store]") {
    for (const auto* const target : {"/etc", "releases/../../x", "x-0123456789ab"}) {
        Host host;
        fs::create_directories(host.paths.directory);
        fs::create_symlink(target, host.paths.current());
        CHECK(host.store.recover(now).error().context.find("current") != std::string::npos);
    }
    Host host;
    fs::create_directories(host.paths.current());
    CHECK_FALSE(host.store.recover(now));
}

} // namespace slipway::agent
