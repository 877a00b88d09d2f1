#include "common/trust/client.h"

#include <catch2/catch.hpp>

#include "tests/common/trust/host.h"

namespace slipway::trust {
namespace fs = std::filesystem;
using fakes::FakeRepository;
using fakes::Host;
using fakes::json;
using Names = std::vector<std::string>;

TEST_CASE("refresh: asks for each file once and keeps the bytes that it verified", "[client]") {
    FakeRepository repository;
    Host host(repository);
    REQUIRE(host.refresh());
    CHECK(repository.requests ==
          Names{"2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"});
    for (const auto& [local, remote] : {std::pair{"root.json", "1.root.json"},
                                        {"timestamp.json", "timestamp.json"},
                                        {"snapshot.json", "1.snapshot.json"},
                                        {"targets.json", "1.targets.json"}}) {
        CHECK(*read_file(host.path() / local, 1'000'000) == repository.files.at(remote));
    }
    REQUIRE(host.refresh());
    CHECK(repository.requests == Names{"2.root.json", "timestamp.json"});
}

TEST_CASE("refresh: without consistent snapshots file names carry no version", "[client]") {
    FakeRepository repository;
    repository.body("root")["consistent_snapshot"] = false;
    repository.publish({"root"});
    repository.files["snapshot.json"] = repository.files.at("1.snapshot.json");
    repository.files["targets.json"] = repository.files.at("1.targets.json");
    Host host(repository);
    REQUIRE(host.refresh());
    CHECK(repository.requests ==
          Names{"2.root.json", "3.root.json", "timestamp.json", "snapshot.json", "targets.json"});
}

TEST_CASE("find: needs metadata first, and says when nobody lists a target", "[client]") {
    FakeRepository repository;
    repository.add_target("targets", "web/1/manifest.json", "content");
    repository.publish({"targets", "snapshot", "timestamp"});
    Host host(repository);
    CHECK(host.client().find("x").error().code == Errc::failed);
    const auto target = host.find("web/1/manifest.json");
    REQUIRE(target);
    CHECK(target->bytes == 7);
    CHECK(target->sha256 == sha256(as_bytes("content")));
    CHECK(host.find("web/2/manifest.json").error().code == Errc::not_found);
    CHECK(consistent_target_path(*target) ==
          "web/1/" + sha256(as_bytes("content")).hex() + ".manifest.json");
}

TEST_CASE("trust_root: keeps a root that was rotated since, and repairs a damaged one",
          "[client]") {
    FakeRepository repository;
    Host host(repository);
    repository.rotate("root");
    repository.publish({"root"});
    REQUIRE(host.refresh());
    REQUIRE(host.version("root") == 2);
    REQUIRE(host.client().trust_root(repository.files.at("1.root.json")));
    CHECK(host.version("root") == 2);

    host.write("root.json", Bytes{'{'});
    const auto damaged = host.refresh();
    REQUIRE_FALSE(damaged);
    CHECK(damaged.error().code == Errc::verification_failed);
    CHECK(damaged.error().context.find("--trust") != std::string::npos);
    REQUIRE(host.client().trust_root(repository.files.at("1.root.json")));
    REQUIRE(host.refresh());
    CHECK(host.version("root") == 2);
}

TEST_CASE("load_local: works whatever the time is and without a network", "[client]") {
    FakeRepository repository;
    repository.add_target("targets", "a", "one");
    repository.delegate("targets", "team", {"team/*"});
    repository.add_target("team", "team/b", "two");
    repository.publish({"team", "targets", "snapshot", "timestamp"});
    Host host(repository);
    CHECK(host.client().load_local().error().code == Errc::not_found);
    REQUIRE(host.find("team/b"));
    host.now += std::chrono::years(20);
    repository.files.clear();
    repository.requests.clear();
    auto client = host.client();
    REQUIRE(client.load_local());
    CHECK(client.find("a"));
    CHECK(client.find("team/b"));
    CHECK(client.all()->size() == 2);
    CHECK(repository.requests.empty());
}

TEST_CASE("refresh: a failed one leaves the client with what it had", "[client]") {
    FakeRepository repository;
    repository.add_target("targets", "a", "one");
    repository.publish({"targets", "snapshot", "timestamp"});
    Host host(repository);
    auto client = host.client();
    REQUIRE(client.refresh());
    repository.files["timestamp.json"] = {'x'};
    CHECK_FALSE(client.refresh());
    CHECK(client.find("a"));
}

} // namespace slipway::trust
