// What a crash, a full disk or a damaged disk does to a host's trusted metadata.
#include "common/trust/client.h"

#include <csignal>
#include <fstream>

#include <catch2/catch.hpp>
#include <sys/resource.h>

#include "tests/common/trust/host.h"

namespace slipway::trust {
namespace fs = std::filesystem;
namespace {

using fakes::FakeRepository;
using fakes::Host;
using Names = std::vector<std::string>;

/// Makes every write beyond `bytes` of a file fail, as a full disk does, until it goes away.
class FullDisk {
public:
    FullDisk() {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        handler_ = std::signal(SIGXFSZ, SIG_IGN);
    }
    ~FullDisk() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        (void)std::signal(SIGXFSZ, handler_);
    }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;
    void fill(rlim_t bytes) const {
        const rlimit limit{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }

private:
    rlimit before_{};
    void (*handler_)(int) = nullptr;
};

void publish_release(FakeRepository& repository) {
    repository.add_target("team", "team/1", "new");
    repository.publish({"root", "team", "targets", "snapshot", "timestamp"});
}

/// A host that runs the first release, and a second one to go to.
struct Scene {
    Scene() {
        repository.delegate("targets", "team", {"team/*"});
        repository.add_target("team", "team/1", "old");
        repository.publish({"team", "targets", "snapshot", "timestamp"});
        REQUIRE(host.find("team/1"));
        publish_release(repository);
    }
    void check_recovers() {
        const auto found = host.find("team/1");
        REQUIRE(found);
        CHECK(found->sha256 == sha256(as_bytes("new")));
        for (const auto& entry : fs::directory_iterator(host.path())) {
            CHECK(entry.path().extension() == ".json");
        }
    }
    FakeRepository repository;
    Host host{repository};
};

} // namespace

TEST_CASE("refresh: whichever request is the last before a crash, the next run ends it",
          "[persistence]") {
    for (std::size_t crash = 0; crash < 7; ++crash) {
        CAPTURE(crash);
        Scene scene;
        scene.repository.requests.clear();
        scene.repository.on_fetch = [&](const std::string&) {
            return scene.repository.requests.size() > crash
                       ? std::make_shared<Result<Bytes>>(fail(Errc::cancelled, "crash"))
                       : nullptr;
        };
        const auto found = scene.host.find("team/1");
        CHECK(found.has_value() == (crash == 6)); // Six requests are all.
        CHECK(scene.host.client().load_local());
        scene.repository.on_fetch = {};
        scene.check_recovers();
    }
}

TEST_CASE("refresh: a full disk while any role is kept is an error, and the next run ends it",
          "[persistence]") {
    const std::string file = GENERATE(as<std::string>(), "2.root.json", "timestamp.json",
                                      "3.snapshot.json", "3.targets.json", "2.team.json");
    const rlim_t room = GENERATE(as<rlim_t>(), 0, 100);
    CAPTURE(file, room);
    Scene scene;
    {
        const FullDisk disk;
        scene.repository.on_fetch = [&](const std::string& path) -> std::shared_ptr<Result<Bytes>> {
            if (path == file) {
                disk.fill(room);
            }
            return nullptr;
        };
        const auto found = scene.host.find("team/1");
        REQUIRE_FALSE(found);
        CHECK(found.error().code == std::errc::file_too_large);
        CHECK(found.error().context.find(file.substr(file.find('.') == 1 ? 2 : 0)) !=
              std::string::npos);
    }
    CHECK(scene.host.client().load_local());
    scene.repository.on_fetch = {};
    scene.check_recovers();
}

TEST_CASE("refresh: a torn, empty, damaged or missing local file is fetched again",
          "[persistence]") {
    const std::string role =
        GENERATE(as<std::string>(), "timestamp", "snapshot", "targets", "team");
    CAPTURE(role);
    Scene scene;
    const auto path = scene.host.path() / (role + ".json");
    const auto good = *read_file(path, 1'000'000);
    for (std::size_t size = 0; size < good.size(); size += 97) {
        scene.host.write(role + ".json", {good.begin(), good.begin() + static_cast<long>(size)});
        scene.check_recovers();
    }
    for (std::size_t i = 0; i < good.size(); i += 97) {
        auto bad = good;
        bad[i] ^= 1U;
        scene.host.write(role + ".json", bad);
        scene.check_recovers();
    }
    fs::remove(path);
    scene.check_recovers();
}

TEST_CASE("refresh: a local file that grew without end is not read", "[persistence]") {
    Scene scene;
    scene.host.write("timestamp.json", Bytes(20'000, ' '));
    scene.check_recovers();
}

TEST_CASE("refresh: a damaged root stops it, says what to do, and trusting it again repairs all",
          "[persistence]") {
    Scene scene;
    const auto good = *read_file(scene.host.path() / "root.json", 1'000'000);
    for (std::size_t size = 0; size < good.size(); size += 97) {
        scene.host.write("root.json", {good.begin(), good.begin() + static_cast<long>(size)});
        CHECK(scene.host.refusal().find("--trust") != std::string::npos);
        CHECK(scene.repository.requests.empty());
        REQUIRE(scene.host.client().trust_root(scene.repository.files.at("1.root.json")));
        scene.check_recovers();
    }
    fs::remove(scene.host.path() / "root.json");
    const auto missing = scene.host.refresh();
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == Errc::not_found);
}

TEST_CASE("refresh: what a crash left half written is swept", "[persistence]") {
    Scene scene;
    const auto leftover = temporary_name(scene.host.path(), "root.json");
    std::ofstream(leftover) << "{";
    REQUIRE(scene.host.refresh());
    CHECK_FALSE(fs::exists(leftover));
}

TEST_CASE("trust_root: a root that is not signed by itself is refused, and nothing is written",
          "[persistence]") {
    FakeRepository repository;
    auto file = fakes::json::parse(repository.files.at("1.root.json"));
    file["signatures"] = fakes::json::array();
    const auto text = file.dump();
    const slipway::fakes::TemporaryDirectory directory;
    Client client(directory.path() / "trust", repository, fakes::start_time());
    CHECK(client.trust_root(as_bytes(text)).error().code == Errc::verification_failed);
    CHECK_FALSE(fs::exists(directory.path() / "trust"));
    CHECK(client.refresh().error().code == Errc::not_found);
    CHECK(repository.requests.empty());
}

} // namespace slipway::trust
