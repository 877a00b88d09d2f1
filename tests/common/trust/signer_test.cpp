#include "common/trust/signer.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/trust/keys.h"
#include "tests/fakes/temporary_directory.h"

namespace slipway::trust {
namespace fs = std::filesystem;
namespace {

const TimePoint start = std::chrono::sys_days(std::chrono::year(2030) / 1 / 1);

Target target(const std::string& path, const std::string& content, std::string custom = "") {
    return {path, content.size(), sha256(as_bytes(content)), std::move(custom)};
}

struct Publisher {
    Publisher() { REQUIRE(init_repository(repository, keys, start)); }
    Result<Outcome> publish(const std::vector<Target>& added,
                            const std::vector<std::string>& removed = {},
                            TimePoint now = start) const {
        return publish_targets(repository, keys, added, removed, now);
    }
    /// What a new host sees, checked as hosts check it.
    [[nodiscard]] Result<std::vector<Target>> seen(TimePoint now = start) const {
        const slipway::fakes::TemporaryDirectory host;
        DirectorySource source(metadata());
        Client client(host.path() / "trust", source, now);
        const auto root = read_file(metadata() / "1.root.json", 1'000'000);
        REQUIRE(root);
        return client.trust_root(*root).and_then([&] { return client.refresh(); }).and_then([&] {
            return client.all();
        });
    }
    [[nodiscard]] fs::path metadata() const { return repository / "metadata"; }
    [[nodiscard]] nlohmann::json body(const std::string& name) const {
        const auto bytes = read_file(metadata() / name, 10'000'000);
        REQUIRE(bytes);
        return nlohmann::json::parse(*bytes)["signed"];
    }

    slipway::fakes::TemporaryDirectory directory;
    fs::path repository = directory.path() / "repo";
    fs::path keys = directory.path() / "repo.keys";
};

} // namespace

TEST_CASE("init_repository: makes private keys and metadata that a client accepts", "[signer]") {
    const Publisher publisher;
    struct stat info{};
    REQUIRE(::stat(publisher.keys.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777U) == 0700U);
    for (const auto* role : {"root", "targets", "snapshot", "timestamp"}) {
        CHECK(SigningKey::load(publisher.keys / (std::string(role) + ".pem")));
    }
    for (const auto* name :
         {"1.root.json", "1.targets.json", "1.snapshot.json", "timestamp.json"}) {
        CHECK(fs::exists(publisher.metadata() / name));
    }
    CHECK(std::distance(fs::directory_iterator(publisher.metadata()), fs::directory_iterator()) ==
          4);
    const auto seen = publisher.seen();
    REQUIRE(seen);
    CHECK(seen->empty());
}

TEST_CASE("init_repository: never touches a repository or keys that exist", "[signer]") {
    const Publisher publisher;
    const auto before = read_file(publisher.metadata() / "1.root.json", 1'000'000);
    CHECK(init_repository(publisher.repository, publisher.directory.path() / "other", start)
              .error()
              .code == Errc::failed);
    CHECK_FALSE(fs::exists(publisher.directory.path() / "other"));
    CHECK_FALSE(init_repository(publisher.directory.path() / "new", publisher.keys, start));
    CHECK_FALSE(fs::exists(publisher.directory.path() / "new/metadata"));
    CHECK(*read_file(publisher.metadata() / "1.root.json", 1'000'000) == *before);
}

TEST_CASE("init_repository: a trailing slash and relative paths name the same places", "[signer]") {
    const slipway::fakes::TemporaryDirectory directory;
    CHECK(init_repository(directory.path() / "a/", directory.path() / "a.keys/", start));
    CHECK(fs::exists(directory.path() / "a.keys/root.pem"));
    CHECK(fs::exists(directory.path() / "a/metadata/timestamp.json"));
}

TEST_CASE("publish_targets: targets appear, are replaced and go; versions grow by one",
          "[signer]") {
    const Publisher publisher;
    REQUIRE(publisher.publish({target("web/1/manifest.json", "one", R"({"kind":"code","n":[1,2]})"),
                               target("web/1/packmap", "map")}));
    auto seen = publisher.seen();
    REQUIRE(seen);
    REQUIRE(seen->size() == 2);
    CHECK((*seen)[0].path == "web/1/manifest.json");
    CHECK((*seen)[0].bytes == 3);
    CHECK((*seen)[0].sha256 == sha256(as_bytes("one")));
    CHECK((*seen)[0].custom == R"({"kind":"code","n":[1,2]})");
    CHECK((*seen)[1].custom.empty());

    REQUIRE(
        publisher.publish({target("web/1/packmap", "map two")}, {"web/1/manifest.json", "none"}));
    seen = publisher.seen();
    REQUIRE(seen);
    REQUIRE(seen->size() == 1);
    CHECK((*seen)[0].sha256 == sha256(as_bytes("map two")));
    CHECK(publisher.body("3.targets.json")["version"] == 3);
    CHECK(publisher.body("3.snapshot.json")["meta"]["targets.json"]["version"] == 3);
    CHECK(publisher.body("timestamp.json")["version"] == 3);
    CHECK(publisher.body("timestamp.json")["meta"]["snapshot.json"].contains("length"));
    CHECK(publisher.body("timestamp.json")["meta"]["snapshot.json"].contains("hashes"));
}

TEST_CASE("publish_targets: identical targets may be published again", "[signer]") {
    const Publisher publisher;
    REQUIRE(publisher.publish({target("a", "one")}));
    REQUIRE(publisher.publish({target("a", "one")}));
    CHECK(publisher.seen()->size() == 1);
}

TEST_CASE("publish_targets: refuses targets that clients would refuse", "[signer]") {
    const Publisher publisher;
    for (const auto& bad :
         {target("", "x"), target(std::string(5000, 'a'), "x"), target("\xff", "x"),
          target("a", "x", "[]"), target("a", "x", "{"), target("a", "x", R"({"a":1.5})")}) {
        CAPTURE(bad.path, bad.custom);
        CHECK(publisher.publish({bad}).error().code == Errc::usage);
    }
    CHECK(publisher.body("timestamp.json")["version"] == 1);
}

TEST_CASE("publish_targets: never signs on top of metadata that was tampered with", "[signer]") {
    const Publisher publisher;
    REQUIRE(publisher.publish({target("a", "one")}));
    const auto* const name =
        GENERATE("1.root.json", "2.targets.json", "2.snapshot.json", "timestamp.json");
    CAPTURE(name);
    const auto path = publisher.metadata() / name;
    const auto good = *read_file(path, 1'000'000);
    for (std::size_t i = 0; i < good.size(); i += 41) {
        auto bad = good;
        bad[i] ^= 1U;
        REQUIRE(replace_file(path, bad));
        const auto published = publisher.publish({target("b", "two")});
        CAPTURE(i);
        REQUIRE_FALSE(published);
        CHECK(published.error().context.find(name) != std::string::npos);
    }
    fs::remove(path);
    CHECK_FALSE(publisher.publish({target("b", "two")}));
    REQUIRE(replace_file(path, good));
    CHECK(publisher.publish({target("b", "two")}));
}

TEST_CASE("publish_targets: another's repository under our own keys' names is refused",
          "[signer]") {
    const Publisher publisher;
    const Publisher stranger;
    fs::remove_all(publisher.metadata());
    fs::copy(stranger.metadata(), publisher.metadata());
    const auto published = publisher.publish({target("a", "one")});
    REQUIRE_FALSE(published);
    CHECK(published.error().code == Errc::verification_failed);
    CHECK(published.error().context.find("root.json") != std::string::npos);
}

TEST_CASE("publish_targets: keeps fields that it does not know", "[signer]") {
    const Publisher publisher;
    auto body = publisher.body("1.targets.json");
    body["x-note"] = {{"kept", true}};
    const auto sign_as = [&](const std::string& role, const nlohmann::json& signed_body) {
        const auto key = SigningKey::load(publisher.keys / (role + ".pem"));
        const auto signature = key->sign(as_bytes(signed_body.dump())); // Is canonical: no '\'.
        const nlohmann::json file{
            {"signed", signed_body},
            {"signatures", {{{"keyid", key->public_key().id()}, {"sig", to_hex(*signature)}}}}};
        return file.dump();
    };
    const auto write = [&](const std::string& name, const std::string& file) {
        REQUIRE(replace_file(publisher.metadata() / name, as_bytes(file)));
    };
    const auto targets = sign_as("targets", body);
    auto snapshot = publisher.body("1.snapshot.json");
    snapshot["meta"]["targets.json"] = {{"version", 1}};
    auto timestamp = publisher.body("timestamp.json");
    timestamp["meta"]["snapshot.json"] = {{"version", 1}};
    write("1.targets.json", targets);
    write("1.snapshot.json", sign_as("snapshot", snapshot));
    write("timestamp.json", sign_as("timestamp", timestamp));
    REQUIRE(publisher.publish({target("a", "one")}));
    CHECK(publisher.body("2.targets.json")["x-note"]["kept"] == true);
}

TEST_CASE("publish_targets: a key that the root does not list is an error, and writes nothing",
          "[signer]") {
    const Publisher publisher;
    REQUIRE(SigningKey::generate()->save(publisher.keys / "targets.pem"));
    CHECK_FALSE(publisher.publish({target("a", "one")}));
    CHECK_FALSE(fs::exists(publisher.metadata() / "2.targets.json"));
    fs::remove(publisher.keys / "targets.pem");
    const auto published = publisher.publish({target("a", "one")});
    REQUIRE_FALSE(published);
    CHECK(published.error().code == Errc::not_found);
    CHECK(published.error().context.find("targets.pem") != std::string::npos);
}

// The repository as it is on disk after 0, 1, 2, 3 of the three writes.
TEST_CASE("publish_targets: a reader between any two writes sees a consistent repository",
          "[signer]") {
    const Publisher publisher;
    REQUIRE(publisher.publish({target("a", "old")}));
    const slipway::fakes::TemporaryDirectory saved;
    fs::copy(publisher.metadata(), saved.path() / "old");
    REQUIRE(publisher.publish({target("a", "new")}));
    fs::copy(publisher.metadata(), saved.path() / "new");
    std::vector<std::string> written{"3.targets.json", "3.snapshot.json", "timestamp.json"};
    fs::remove_all(publisher.metadata());
    fs::copy(saved.path() / "old", publisher.metadata());
    for (std::size_t i = 0; i <= written.size(); ++i) {
        CAPTURE(i);
        const auto seen = publisher.seen();
        REQUIRE(seen);
        CHECK(seen->front().sha256 == sha256(as_bytes(i == 3 ? "new" : "old")));
        if (i < written.size()) {
            fs::copy_file(saved.path() / "new" / written[i], publisher.metadata() / written[i],
                          fs::copy_options::overwrite_existing);
        }
    }
    // And a publisher that was killed between them goes on.
    fs::remove_all(publisher.metadata());
    fs::copy(saved.path() / "old", publisher.metadata());
    fs::copy_file(saved.path() / "new/3.targets.json", publisher.metadata() / "3.targets.json");
    REQUIRE(publisher.publish({target("a", "newer")}));
    CHECK(publisher.seen()->front().sha256 == sha256(as_bytes("newer")));
}

TEST_CASE("renew: signs only what has less than half of its time left", "[signer]") {
    using std::chrono::days;
    const Publisher publisher;
    const auto renewed = [&](days after) {
        const auto done = renew(publisher.repository, publisher.keys, start + after);
        REQUIRE(done);
        return done->written;
    };
    CHECK_FALSE(renewed(days(3)));
    CHECK(renewed(days(4)));
    CHECK(publisher.body("timestamp.json")["version"] == 2);
    CHECK(publisher.body("timestamp.json")["meta"]["snapshot.json"]["version"] == 1);
    CHECK_FALSE(renewed(days(4)));
    CHECK(renewed(days(16)));
    CHECK(publisher.body("timestamp.json")["version"] == 3);
    CHECK(publisher.body("2.snapshot.json")["meta"]["targets.json"]["version"] == 1);
    CHECK(publisher.seen(start + days(20)));
    // Long after all has expired, the repository can still be brought back.
    CHECK_FALSE(publisher.seen(start + days(60)));
    CHECK(renewed(days(60)));
    CHECK(publisher.seen(start + days(60)));
}

TEST_CASE("renew: needs no key but snapshot and timestamp", "[signer]") {
    const Publisher publisher;
    fs::remove(publisher.keys / "root.pem");
    fs::remove(publisher.keys / "targets.pem");
    CHECK(renew(publisher.repository, publisher.keys, start + std::chrono::days(5))->written);
}

} // namespace slipway::trust
