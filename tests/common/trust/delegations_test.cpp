#include "common/trust/metadata.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "tests/common/trust/host.h"

namespace slipway::trust {
namespace {

using fakes::FakeRepository;
using fakes::Host;
using fakes::json;
using Names = std::vector<std::string>;

void publish_all(FakeRepository& repository, Names delegated) {
    for (const auto* last : {"targets", "snapshot", "timestamp"}) {
        delegated.emplace_back(last);
    }
    repository.publish(delegated);
}

/// The delegated roles that were fetched to look a target up.
Names visited(Host& host, const std::string& target) {
    REQUIRE(host.refresh());
    host.repository.requests.clear();
    auto client = host.client();
    REQUIRE(client.refresh());
    const auto found = client.find(target);
    if (!found) {
        CHECK(found.error().code == Errc::not_found);
    }
    Names out;
    for (const auto& request : host.repository.requests) {
        if (request.ends_with(".json") && request != "timestamp.json" &&
            request.find("root.json") == std::string::npos) {
            out.push_back(request.substr(2, request.size() - 7));
        }
    }
    return out;
}

} // namespace

TEST_CASE("matches_pattern: as a shell does, within one path component", "[delegations]") {
    struct Case {
        const char* pattern;
        const char* path;
        bool matches;
    };
    for (const auto& [pattern, path, matches] : std::vector<Case>{
             {"*", "a", true},
             {"*", "", true},
             {"*", "a/b", false},
             {"a/*", "a/b", true},
             {"a/*", "a/", true},
             {"a/*", "a", false},
             {"a/*", "a/b/c", false},
             {"*/*", "a/b", true},
             {"targets/*.tgz", "targets/foo.tgz", true},
             {"targets/*.tgz", "targets/foo.txt", false},
             {"*.tgz", "targets/foo.tgz", false},
             {"foo-version-?.tgz", "foo-version-a.tgz", true},
             {"foo-version-?.tgz", "foo-version-alpha.tgz", false},
             {"a?b", "a/b", false},
             {"foo.tgz", "foo.tgz", true},
             {"foo.tgz", "fooXtgz", false},
             {"foo.tgz", "FOO.tgz", false},
             {"", "", true},
             {"", "a", false},
             {"a", "", false},
             {"*a*b*", "xxaxxbxx", true},
             {"*a*b*", "xxbxxaxx", false},
             {"**", "abc", true},
             {"*ab", "aab", true},
             {"*a/b*c", "xa/bbc", true},
             {"*a/b*c", "xa/b/c", false},
             {"[abc]x", "bx", true},
             {"[a-c]x", "dx", false},
             {"[!a-c]x", "dx", true},
             {"[!a-c]x", "/x", false},
             {"[]]", "]", true},
             {"[a-]", "-", true},
             {"[a", "[a", true},
             {"[", "[", true},
             {"\\*", "\\x", true},
         }) {
        CAPTURE(pattern, path);
        CHECK(matches_pattern(pattern, path) == matches);
    }
    // A pattern made to take long does not.
    CHECK_FALSE(matches_pattern(std::string(4000, '*') + "b", std::string(4000, 'a')));
    std::string many;
    for (int i = 0; i < 1000; ++i) {
        many += "a*";
    }
    CHECK_FALSE(matches_pattern(many + "b", std::string(4000, 'a')));
}

TEST_CASE("find: pre-order, depth first, and only where the pattern matches", "[delegations]") {
    FakeRepository repository;
    Host host(repository);
    repository.delegate("targets", "a", {"web/*"});
    repository.delegate("a", "c", {"web/*"});
    repository.delegate("a", "d", {"db/*"});
    repository.delegate("targets", "e", {"db/*"});
    repository.delegate("targets", "b", {"*/*"});
    publish_all(repository, {"a", "b", "c", "d", "e"});
    CHECK(visited(host, "web/missing") == Names{"a", "c", "b"});
}

TEST_CASE("find: stops at the first role that lists the target", "[delegations]") {
    FakeRepository repository;
    Host host(repository);
    repository.delegate("targets", "a", {"*"});
    repository.delegate("targets", "b", {"*"});
    repository.add_target("a", "x", "by a");
    repository.add_target("b", "x", "by b");
    publish_all(repository, {"a", "b"});
    CHECK(visited(host, "x") == Names{"a"});
    CHECK(host.find("x")->sha256 == sha256(as_bytes("by a")));
    auto client = host.client();
    REQUIRE(client.refresh());
    const auto all = client.all();
    REQUIRE(all);
    REQUIRE(all->size() == 1);
    CHECK(all->front().sha256 == sha256(as_bytes("by a")));
}

TEST_CASE("find: a terminating delegation ends the search after its descendants", "[delegations]") {
    FakeRepository repository;
    Host host(repository);
    repository.delegate("targets", "a", {"*"});
    repository.delegate("a", "c", {"*"}, true);
    repository.delegate("c", "d", {"*"});
    repository.delegate("a", "e", {"*"});
    repository.delegate("targets", "b", {"*"});
    repository.add_target("b", "x", "by b");
    publish_all(repository, {"a", "b", "c", "d", "e"});
    CHECK(visited(host, "x") == Names{"a", "c", "d"});
    CHECK(host.find("x").error().code == Errc::not_found);
    auto client = host.client();
    REQUIRE(client.refresh());
    CHECK(client.all()->empty());
}

TEST_CASE("find: cycles end", "[delegations]") {
    FakeRepository repository;
    Host host(repository);
    repository.delegate("targets", "a", {"*"});
    repository.delegate("a", "b", {"*"});
    repository.delegate("b", "a", {"*"});
    repository.delegate("b", "b", {"*"});
    publish_all(repository, {"a", "b"});
    CHECK(visited(host, "x") == Names{"a", "b"});
    auto client = host.client();
    REQUIRE(client.refresh());
    CHECK(client.all()->empty());
}

TEST_CASE("arbitrary software attack: a role lists targets outside its prefix", "[delegations]") {
    FakeRepository repository;
    Host host(repository);
    repository.delegate("targets", "team", {"team/*"});
    repository.delegate("team", "member", {"*", "*/*"}); // More than the team itself may.
    repository.add_target("team", "web/1", "stolen");
    repository.add_target("member", "web/1", "stolen");
    repository.add_target("member", "team/2", "fine");
    publish_all(repository, {"team", "member"});
    CHECK(host.find("web/1").error().code == Errc::not_found);
    CHECK(host.find("team/2"));
    auto client = host.client();
    REQUIRE(client.refresh());
    const auto all = client.all();
    REQUIRE(all);
    REQUIRE(all->size() == 1);
    CHECK(all->front().path == "team/2");
}

TEST_CASE("arbitrary software attack: a delegated role signed by another key", "[delegations]") {
    FakeRepository repository;
    Host host(repository);
    repository.delegate("targets", "team", {"team/*"});
    repository.add_target("team", "team/1", "content");
    repository.signers["team"] = {&FakeRepository::new_key()};
    publish_all(repository, {"team"});
    const auto found = host.find("team/1");
    REQUIRE_FALSE(found);
    CHECK(found.error().code == Errc::verification_failed);
    CHECK(found.error().context.find("arbitrary software attack") != std::string::npos);
    CHECK(host.version("team") == 0);
    CHECK(host.find("elsewhere").error().code == Errc::not_found); // Others are not held up.
}

TEST_CASE("delegations: a cached role does not lend one delegator's trust to another",
          "[delegations]") {
    FakeRepository repository;
    Host host(repository);
    repository.with_hashes = GENERATE(true, false);
    repository.delegate("targets", "a", {"a/*"});
    repository.delegate("targets", "b", {"b/*"});
    repository.delegate("a", "shared", {"a/*"});
    repository.delegate("b", "shared", {"b/*"});
    repository.add_target("shared", "a/1", "right");
    repository.add_target("shared", "b/1", "wrong");
    repository.signers["shared"].pop_back(); // b's key does not sign.
    publish_all(repository, {"shared", "a", "b"});
    auto client = host.client();
    REQUIRE(client.refresh());
    CHECK(client.find("a/1"));
    CHECK(client.find("b/1").error().code == Errc::verification_failed);
    CHECK(client.find("a/1"));
    CHECK(host.find("b/1").error().code == Errc::verification_failed); // Nor from the disk.
}

TEST_CASE("delegations: a role that the snapshot does not list is never fetched", "[delegations]") {
    FakeRepository repository;
    Host host(repository);
    repository.delegate("targets", "team", {"team/*"});
    repository.add_target("team", "team/1", "content");
    repository.publish({"team", "targets"});
    repository.body("snapshot")["meta"].erase("team.json");
    repository.publish({"snapshot", "timestamp"});
    const auto found = host.find("team/1");
    REQUIRE_FALSE(found);
    CHECK(found.error().context.find("snapshot does not list it") != std::string::npos);
    CHECK(std::find(repository.requests.begin(), repository.requests.end(), "1.team.json") ==
          repository.requests.end());
}

TEST_CASE("delegations: an expired or rolled-back delegated role is refused", "[delegations]") {
    FakeRepository repository;
    Host host(repository);
    repository.delegate("targets", "team", {"team/*"});
    repository.add_target("team", "team/1", "content");
    publish_all(repository, {"team"});
    publish_all(repository, {"team"});
    REQUIRE(host.find("team/1"));
    SECTION("freeze attack") {
        repository.body("team")["expires"] = "2029-12-31T00:00:00Z";
        publish_all(repository, {"team"});
        CHECK(host.find("team/1").error().context.find("freeze attack") != std::string::npos);
        CHECK(host.version("team") == 2);
    }
    SECTION("rollback attack") {
        repository.body("team")["version"] = 0;
        publish_all(repository, {"team"});
        CHECK(host.refusal().find("team.json") != std::string::npos);
    }
    SECTION("mix-and-match attack") {
        publish_all(repository, {"team"});
        repository.files["3.team.json"] = repository.files.at("2.team.json");
        CHECK(host.find("team/1").error().context.find("mix-and-match") != std::string::npos);
    }
}

TEST_CASE("find: visits at most 32 delegated roles for a target", "[delegations]") {
    FakeRepository repository;
    Host host(repository);
    Names roles;
    for (int i = 0; i < 40; ++i) {
        roles.push_back("role" + std::to_string(i));
        repository.delegate("targets", roles.back(), {"x/*"});
    }
    repository.add_target("role31", "x/31", "content");
    repository.add_target("role32", "x/32", "content");
    publish_all(repository, roles);
    CHECK(host.find("x/31"));
    const auto beyond = host.find("x/32");
    REQUIRE_FALSE(beyond);
    CHECK(beyond.error().code == Errc::not_found);
    CHECK(beyond.error().context.find("32 delegations") != std::string::npos);
}

TEST_CASE("delegations: path hash prefixes split targets into bins", "[delegations]") {
    FakeRepository repository;
    Host host(repository);
    const std::string path = "web/1";
    const auto digest = sha256(as_bytes(path)).hex();
    Names roles;
    for (const char digit : std::string("0123456789abcdef")) {
        roles.push_back(std::string("bin-") + digit);
        auto& delegation = repository.delegate("targets", roles.back(), {});
        delegation.erase("paths");
        delegation["path_hash_prefixes"] = {std::string(1, digit)};
    }
    repository.add_target(std::string("bin-") + digest[0], path, "content");
    publish_all(repository, roles);
    CHECK(visited(host, path) == Names{std::string("bin-") + digest[0]});
    CHECK(host.find(path));
}

TEST_CASE("delegations: unusual role names are escaped in requests and in file names",
          "[delegations]") {
    struct Case {
        const char* role;
        const char* escaped;
    };
    const auto [role, escaped] = GENERATE(values<Case>({{"?", "%3F"},
                                                        {"#", "%23"},
                                                        {"/team", "%2Fteam"},
                                                        {"../team", "..%2Fteam"},
                                                        {"a b", "a%20b"},
                                                        {"%41", "%2541"},
                                                        {"..", ".."},
                                                        {"\xc3\xa9", "%C3%A9"}}));
    FakeRepository repository;
    Host host(repository);
    repository.delegate("targets", role, {"*"});
    repository.add_target(role, "x", "content");
    publish_all(repository, {role});
    CHECK(host.find("x"));
    const auto request = std::string("1.") + escaped + ".json";
    CHECK(std::find(repository.requests.begin(), repository.requests.end(), request) !=
          repository.requests.end());
    CHECK(std::filesystem::exists(host.path() / (std::string(escaped) + ".json")));
}

TEST_CASE("delegations: a delegation that is ambiguous makes its delegator invalid",
          "[delegations]") {
    FakeRepository repository;
    Host host(repository);
    auto& delegation = repository.delegate("targets", "team", {"team/*"});
    SECTION("paths and prefixes") {
        delegation["path_hash_prefixes"] = {"0"};
    }
    SECTION("a top-level role's name") {
        delegation["name"] = GENERATE("root", "timestamp", "snapshot", "targets", "");
    }
    SECTION("too long a name") {
        delegation["name"] = std::string(201, 'a');
    }
    SECTION("a threshold of 0") {
        delegation["threshold"] = 0;
    }
    SECTION("one name twice") {
        const auto twin = delegation;
        repository.body("targets")["delegations"]["roles"].push_back(twin);
    }
    publish_all(repository, {});
    CHECK(host.refusal().find("targets.json") != std::string::npos);
}

TEST_CASE("delegations: without paths a role is trusted with nothing", "[delegations]") {
    FakeRepository repository;
    Host host(repository);
    repository.delegate("targets", "team", {}).erase("paths");
    repository.add_target("team", "x", "content");
    publish_all(repository, {"team"});
    CHECK(host.find("x").error().code == Errc::not_found);
}

} // namespace slipway::trust
