// The attacks that TUF 1.0.34 section 1.5.2 lists, each on metadata that is really signed.
#include "common/trust/client.h"

#include <catch2/catch.hpp>

#include "tests/common/trust/host.h"

namespace slipway::trust {
namespace {

using fakes::FakeRepository;
using fakes::Host;
using fakes::json;
using Names = std::vector<std::string>;

const Names all_roles{"root", "targets", "snapshot", "timestamp"};

void check_names(const std::string& refusal, const std::string& role, const std::string& attack) {
    CAPTURE(refusal, role, attack);
    CHECK(refusal.find(role) != std::string::npos);
    CHECK(refusal.find(attack) != std::string::npos);
}

/// A repository that a host has seen once, and that has a target.
struct Scene {
    Scene() {
        repository.add_target("targets", "web/1", "old");
        repository.publish(all_roles);
        REQUIRE(host.refresh());
    }
    void check_unchanged() const {
        for (const auto* role : {"root", "timestamp", "snapshot", "targets"}) {
            CAPTURE(role);
            CHECK(host.version(role) == 2);
        }
    }
    FakeRepository repository;
    Host host{repository};
};

std::shared_ptr<Result<Bytes>> serve(Bytes bytes) {
    return std::make_shared<Result<Bytes>>(std::move(bytes));
}

} // namespace

TEST_CASE("arbitrary software attack: metadata by a key that nobody trusts", "[attacks]") {
    const std::string role =
        GENERATE(as<std::string>(), "root", "timestamp", "snapshot", "targets");
    CAPTURE(role);
    Scene scene;
    scene.repository.signers[role] = {&FakeRepository::new_key()};
    scene.repository.publish(all_roles);
    check_names(scene.host.refusal(), role, "arbitrary software attack");
    CHECK(scene.host.version(role) == 2);
}

TEST_CASE("arbitrary software attack: metadata without any signature", "[attacks]") {
    const std::string role =
        GENERATE(as<std::string>(), "root", "timestamp", "snapshot", "targets");
    Scene scene;
    scene.repository.signers[role].clear();
    scene.repository.publish(all_roles);
    check_names(scene.host.refusal(), role, "threshold not met");
}

TEST_CASE("arbitrary software attack: a role's key used for another role", "[attacks]") {
    Scene scene;
    auto& signers = scene.repository.signers;
    signers["targets"] = signers["timestamp"];
    scene.repository.publish({"targets", "snapshot", "timestamp"});
    check_names(scene.host.refusal(), "targets", "arbitrary software attack");
}

TEST_CASE("arbitrary software attack: one role's file served as another's", "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    repository.add_key("snapshot", *repository.signers["timestamp"].front());
    repository.publish({"root", "snapshot"});
    repository.files["timestamp.json"] = repository.files.at("3.snapshot.json");
    check_names(scene.host.refusal(), "timestamp", "arbitrary software attack");
}

TEST_CASE("threshold not met: two of three keys must sign, one does", "[attacks]") {
    const std::string role = GENERATE(as<std::string>(), "timestamp", "snapshot", "targets");
    Scene scene;
    auto& repository = scene.repository;
    repository.add_key(role);
    repository.add_key(role);
    repository.root_role(role)["threshold"] = 2;
    repository.publish(all_roles);
    REQUIRE(scene.host.refresh());
    repository.signers[role].resize(1);
    repository.publish({"targets", "snapshot", "timestamp"});
    check_names(scene.host.refusal(), role, "1 of 2 signatures");
}

TEST_CASE("threshold not met: one key under two key ids counts once", "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    const auto& key = *repository.signers["targets"].front();
    auto twin = key.public_key().object();
    twin["x-owner"] = "the same person";
    const auto twin_id = PublicKey::from_json(twin, "test")->id();
    repository.body("root")["keys"][twin_id] = twin;
    repository.root_role("targets")["keyids"].push_back(twin_id);
    repository.root_role("targets")["threshold"] = 2;
    repository.publish(all_roles);
    auto file = json::parse(repository.files.at("3.targets.json"));
    file["signatures"].push_back({{"keyid", twin_id}, {"sig", file["signatures"][0]["sig"]}});
    const auto text = file.dump();
    repository.with_hashes = false;
    repository.publish({"targets", "snapshot", "timestamp"});
    repository.on_fetch = [&](const std::string& path) {
        return path == "4.targets.json" ? serve({text.begin(), text.end()}) : nullptr;
    };
    check_names(scene.host.refusal(), "targets", "1 of 2 signatures");
}

TEST_CASE("threshold not met: one signature, or one key id in a role, listed twice", "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    SECTION("signature") {
        repository.publish({"timestamp"});
        auto file = json::parse(repository.files.at("timestamp.json"));
        file["signatures"].push_back(file["signatures"][0]);
        const auto text = file.dump();
        repository.files["timestamp.json"] = {text.begin(), text.end()};
        check_names(scene.host.refusal(), "timestamp", "threshold not met");
    }
    SECTION("key id") {
        auto& ids = repository.root_role("targets")["keyids"];
        ids.push_back(ids[0]);
        repository.root_role("targets")["threshold"] = 2;
        repository.publish(all_roles);
        check_names(scene.host.refusal(), "3.root.json", "threshold not met");
    }
}

TEST_CASE("key compromise: a revoked key signs nothing any more", "[attacks]") {
    const std::string role = GENERATE(as<std::string>(), "timestamp", "snapshot", "targets");
    Scene scene;
    auto& repository = scene.repository;
    const auto stolen = repository.signers[role];
    repository.rotate(role);
    repository.publish(all_roles);
    REQUIRE(scene.host.refresh());
    repository.signers[role] = stolen;
    repository.publish({"targets", "snapshot", "timestamp"});
    check_names(scene.host.refusal(), role, "arbitrary software attack");
}

TEST_CASE("key compromise: a key under an id that is not its own is not trusted", "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    const auto& thief = FakeRepository::new_key();
    const auto listed = repository.root_role("targets")["keyids"][0].get<std::string>();
    repository.body("root")["keys"][listed] = thief.public_key().object();
    repository.signers["targets"] = {&thief};
    repository.publish(all_roles);
    check_names(scene.host.refusal(), "targets", "arbitrary software attack");
}

TEST_CASE("root rotation: both the old and the new threshold have to sign", "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    const auto old = repository.signers["root"];
    repository.rotate("root");
    SECTION("both") {
        repository.publish(all_roles);
        REQUIRE(scene.host.refresh());
        repository.signers["root"].erase(repository.signers["root"].begin());
        repository.publish(all_roles); // The old key is not needed any more.
        REQUIRE(scene.host.refresh());
        CHECK(scene.host.version("root") == 4);
    }
    SECTION("old only") {
        repository.signers["root"] = old;
        repository.publish(all_roles);
        check_names(scene.host.refusal(), "3.root.json", "arbitrary software attack");
        scene.check_unchanged();
    }
    SECTION("new only") {
        repository.signers["root"].erase(repository.signers["root"].begin());
        repository.publish(all_roles);
        check_names(scene.host.refusal(), "root of the trusted version", "arbitrary software");
        scene.check_unchanged();
    }
}

TEST_CASE("rollback attack: an older timestamp", "[attacks]") {
    Scene scene;
    const auto old = scene.repository.files.at("timestamp.json");
    scene.repository.publish({"timestamp"});
    REQUIRE(scene.host.refresh());
    scene.repository.files["timestamp.json"] = old;
    check_names(scene.host.refusal(), "timestamp", "rollback attack");
    CHECK(scene.host.version("timestamp") == 3);
}

TEST_CASE("rollback attack: a new timestamp for an older snapshot", "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    repository.body("timestamp")["meta"]["snapshot.json"] = {{"version", 1}};
    repository.publish({"timestamp"});
    check_names(scene.host.refusal(), "timestamp", "rollback attack");
    scene.check_unchanged();
}

TEST_CASE("rollback attack: a new snapshot for older targets, or without a role", "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    repository.delegate("targets", "team", {"team/*"});
    repository.publish({"team", "targets", "snapshot", "timestamp"});
    REQUIRE(scene.host.refresh());
    SECTION("older") {
        repository.body("snapshot")["meta"]["targets.json"] = {{"version", 1}};
    }
    SECTION("without") {
        repository.body("snapshot")["meta"].erase("team.json");
    }
    repository.publish({"snapshot", "timestamp"});
    check_names(scene.host.refusal(), "4.snapshot.json", "rollback attack");
    CHECK(scene.host.version("snapshot") == 3);
}

TEST_CASE("rollback attack: an unreachable snapshot does not make the host forget", "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    const auto snapshot = repository.body("snapshot");
    repository.publish({"targets", "snapshot", "timestamp"});
    REQUIRE(scene.host.refresh());
    // A timestamp alone arrives first, then a snapshot that takes targets back to version 2.
    repository.body("snapshot")["meta"] = snapshot["meta"];
    repository.publish({"snapshot", "timestamp"});
    const auto bad = repository.files.at("4.snapshot.json");
    repository.files.erase("4.snapshot.json");
    CHECK(scene.host.refresh().error().code == Errc::not_found);
    CHECK(scene.host.version("timestamp") == 4);
    repository.files["4.snapshot.json"] = bad;
    check_names(scene.host.refusal(), "4.snapshot.json", "rollback attack");
}

TEST_CASE("rollback attack: a root with another version than the next", "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    SECTION("an old one again") {
        repository.files["3.root.json"] = repository.files.at("1.root.json");
    }
    SECTION("one left out") {
        repository.publish({"root"});
        repository.publish({"root"});
        repository.files["3.root.json"] = repository.files.at("4.root.json");
    }
    check_names(scene.host.refusal(), "3.root.json", "rollback attack");
    CHECK(scene.host.version("root") == 2);
}

TEST_CASE("freeze attack: a repository that stands still is refused once it expires", "[attacks]") {
    const std::string role =
        GENERATE(as<std::string>(), "root", "timestamp", "snapshot", "targets");
    CAPTURE(role);
    Scene scene;
    auto& repository = scene.repository;
    for (const auto& each : all_roles) {
        repository.body(each)["expires"] = "2031-01-01T00:00:00Z";
    }
    repository.body(role)["expires"] = "2030-01-08T00:00:00Z";
    repository.publish(all_roles);
    REQUIRE(scene.host.refresh());
    scene.host.now += std::chrono::days(7) - std::chrono::seconds(1);
    REQUIRE(scene.host.refresh());
    scene.host.now += std::chrono::seconds(1);
    check_names(scene.host.refusal(), role, "freeze attack");
    CHECK(scene.host.client().load_local()); // What is installed can still be looked up.
    repository.body(role)["expires"] = "2031-01-01T00:00:00Z";
    repository.publish(all_roles);
    CHECK(scene.host.refresh());
}

TEST_CASE("freeze attack: metadata that has expired already is not taken", "[attacks]") {
    const std::string role = GENERATE(as<std::string>(), "timestamp", "snapshot", "targets");
    Scene scene;
    scene.repository.body(role)["expires"] = "2029-12-31T23:59:59Z";
    scene.repository.publish({"targets", "snapshot", "timestamp"});
    check_names(scene.host.refusal(), role, "freeze attack");
    CHECK(scene.host.version(role) == 2);
}

TEST_CASE("freeze attack: an expired root is kept, so that the next can follow it", "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    repository.body("root")["expires"] = "2029-12-31T23:59:59Z";
    repository.publish({"root", "timestamp"});
    check_names(scene.host.refusal(), "root.json", "freeze attack");
    CHECK(scene.host.version("root") == 3);
    CHECK(scene.host.version("timestamp") == 2);
    repository.body("root")["expires"] = "2031-01-01T00:00:00Z";
    repository.publish({"root"});
    CHECK(scene.host.refresh());
}

TEST_CASE("clock jumps: a wrong clock stops a refresh, and leaves nothing behind", "[attacks]") {
    Scene scene;
    const auto right = scene.host.now;
    scene.host.now = right + std::chrono::years(10);
    check_names(scene.host.refusal(), "expired", "wrong clock");
    scene.check_unchanged();
    scene.host.now = TimePoint{}; // 1970: nothing has expired; versions still only grow.
    CHECK(scene.host.refresh());
    scene.host.now = right;
    CHECK(scene.host.refresh());
}

TEST_CASE("fast-forward attack: a rotation of the online keys recovers from it", "[attacks]") {
    const std::string role = GENERATE(as<std::string>(), "timestamp", "snapshot", "targets");
    CAPTURE(role);
    Scene scene;
    auto& repository = scene.repository;
    repository.body(role)["version"] = 1'000'000;
    repository.publish({"targets", "snapshot", "timestamp"});
    if (role == "targets") { // publish() lists what it signs, so targets are right already.
        REQUIRE(scene.host.version("targets") == 2);
    }
    REQUIRE(scene.host.refresh());
    REQUIRE(scene.host.version(role) > 1'000'000);

    repository.body(role)["version"] = 2;
    SECTION("without a rotation it is a rollback") {
        repository.publish({"targets", "snapshot", "timestamp"});
        check_names(scene.host.refusal(), "", "rollback attack");
    }
    SECTION("recovered") {
        repository.rotate(role == "targets" ? "snapshot" : role);
        if (role == "snapshot") {
            repository.rotate("timestamp");
        }
        repository.publish(all_roles);
        REQUIRE(scene.host.refresh());
        CHECK(scene.host.version(role) == 3);
    }
}

TEST_CASE("fast-forward attack: recovery works when an added key signed both", "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    const auto& kept = repository.add_key("timestamp"); // Signs from now on, beside the old one.
    repository.body("timestamp")["version"] = 1'000'000;
    repository.publish(all_roles);
    REQUIRE(scene.host.refresh());
    // The compromised key goes, the other one stays: the old file's signature is still good.
    repository.root_role("timestamp")["keyids"] = {kept.public_key().id()};
    repository.signers["timestamp"] = {&kept};
    repository.body("timestamp")["version"] = 3;
    repository.publish({"root", "timestamp"});
    REQUIRE(scene.host.refresh());
    CHECK(scene.host.version("timestamp") == 4);
}

TEST_CASE("mix-and-match attack: files of different releases together", "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    repository.with_hashes = GENERATE(true, false);
    CAPTURE(repository.with_hashes);
    repository.publish({"targets", "snapshot", "timestamp"});
    SECTION("an old snapshot for a new timestamp") {
        repository.files["3.snapshot.json"] = repository.files.at("2.snapshot.json");
        check_names(scene.host.refusal(), "3.snapshot.json", "mix-and-match attack");
        CHECK(scene.host.version("snapshot") == 2);
    }
    SECTION("old targets for a new snapshot") {
        repository.files["3.targets.json"] = repository.files.at("2.targets.json");
        check_names(scene.host.refusal(), "3.targets.json", "mix-and-match attack");
        CHECK(scene.host.version("targets") == 2);
    }
}

TEST_CASE("mix-and-match attack: another file of the same version, validly signed", "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    repository.publish({"targets", "snapshot", "timestamp"});
    repository.add_target("targets", "web/1", "bad"); // As long as the listed file.
    repository.files["3.targets.json"] = repository.signed_file("targets");
    check_names(scene.host.refusal(), "3.targets.json", "mix-and-match attack");
}

TEST_CASE("mix-and-match attack: a mirror that mixes old and new files never mixes a host",
          "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    const auto old = repository.files;
    repository.add_target("targets", "web/1", "new");
    repository.publish(all_roles);
    const auto old_digest = sha256(as_bytes("old"));
    const auto new_digest = sha256(as_bytes("new"));
    const Names mixed{"3.root.json", "timestamp.json", "3.snapshot.json", "3.targets.json"};
    const auto current = repository.files;
    for (unsigned which = 0; which < 16; ++which) { // Each subset of the new files.
        CAPTURE(which);
        repository.files = old;
        for (std::size_t i = 0; i < mixed.size(); ++i) {
            if ((which >> i & 1U) != 0) {
                repository.files[mixed[i]] = current.at(mixed[i]);
            }
        }
        Host host(repository);
        auto client = host.client();
        if (client.refresh()) {
            const auto seen = client.find("web/1");
            REQUIRE(seen);
            const bool is_new = host.version("targets") == 3;
            CHECK(host.version("snapshot") == (is_new ? 3 : 2));
            CHECK(host.version("timestamp") == (is_new ? 3 : 2));
            CHECK(seen->sha256 == (is_new ? new_digest : old_digest));
        }
        repository.files = current;
        CHECK(host.refresh());
    }
}

TEST_CASE("endless data attack: no more than a role's limit is read", "[attacks]") {
    struct Case {
        std::string file;
        std::size_t limit;
    };
    const auto [file, limit] = GENERATE(values<Case>({{"3.root.json", 512'000},
                                                      {"timestamp.json", 16'384},
                                                      {"3.snapshot.json", 2'000'000},
                                                      {"3.targets.json", 5'000'000}}));
    CAPTURE(file);
    Scene scene;
    auto& repository = scene.repository;
    repository.with_hashes = false;
    repository.publish(all_roles);
    auto padded = repository.files.at(file); // White space: exactly at the limit is still good.
    padded.resize(limit, ' ');
    repository.files[file] = padded;
    {
        Host other(repository);
        CHECK(other.refresh());
    }
    padded.push_back(' ');
    SECTION("a source that keeps the limit") {
        repository.files[file] = padded;
    }
    SECTION("a source that does not") {
        repository.on_fetch = [&](const std::string& path) {
            return path == file ? serve(padded) : nullptr;
        };
    }
    check_names(scene.host.refusal(), file, "endless data attack");
}

TEST_CASE("endless data attack: what is listed with a length is read no further", "[attacks]") {
    Scene scene;
    scene.repository.publish(all_roles);
    scene.repository.files["3.targets.json"].push_back(' ');
    check_names(scene.host.refusal(), "3.targets.json", "endless data attack");
}

TEST_CASE("endless data attack: a listed length above the role's limit does not raise it",
          "[attacks]") {
    Scene scene;
    auto& repository = scene.repository;
    repository.publish({"targets", "snapshot"});
    repository.body("timestamp")["meta"]["snapshot.json"]["length"] = 1'000'000'000'000;
    repository.publish({"timestamp"});
    repository.files["3.snapshot.json"].resize(2'000'001, ' ');
    check_names(scene.host.refusal(), "3.snapshot.json", "endless data attack");
}

TEST_CASE("endless data attack: a refresh follows 256 new roots, the next one goes on",
          "[attacks]") {
    Scene scene;
    for (int i = 0; i < 257; ++i) {
        scene.repository.publish({"root"});
    }
    REQUIRE(scene.host.refresh());
    CHECK(scene.host.version("root") == 2 + 256);
    REQUIRE(scene.host.refresh());
    CHECK(scene.host.version("root") == 2 + 257);
}

TEST_CASE("slow retrieval: a source that gives up is passed on, and nothing is lost", "[attacks]") {
    Scene scene;
    scene.repository.publish(all_roles);
    const std::string slow = GENERATE(as<std::string>(), "3.root.json", "4.root.json",
                                      "timestamp.json", "3.snapshot.json", "3.targets.json");
    scene.repository.on_fetch = [&](const std::string& path) {
        return path == slow ? std::make_shared<Result<Bytes>>(fail(Errc::unreachable, "too slow"))
                            : nullptr;
    };
    const auto done = scene.host.refresh();
    REQUIRE_FALSE(done);
    CHECK(done.error().code == Errc::unreachable);
    check_names(done.error().context, slow, "too slow");
    CHECK(scene.host.client().load_local());
    scene.repository.on_fetch = {};
    CHECK(scene.host.refresh());
    CHECK(scene.host.version("targets") == 3);
}

TEST_CASE("malicious mirror: garbage in place of any file is refused and forgotten", "[attacks]") {
    Scene scene;
    scene.repository.publish(all_roles);
    const std::string file = GENERATE(as<std::string>(), "3.root.json", "timestamp.json",
                                      "3.snapshot.json", "3.targets.json");
    const std::string garbage =
        GENERATE(as<std::string>(), "", "{}", "[]", "<html></html>", "null",
                 R"({"signatures":[],"signed":{}})", R"({"signatures":{},"signed":[]})");
    CAPTURE(file, garbage);
    scene.repository.on_fetch = [&](const std::string& path) {
        return path == file ? serve({garbage.begin(), garbage.end()}) : nullptr;
    };
    check_names(scene.host.refusal(), file, file);
    scene.repository.on_fetch = {};
    CHECK(scene.host.refresh());
}

} // namespace slipway::trust
