#include "common/trust/repository_editor.h"

#include "common/trust/role_body.h"
#include <algorithm>

#include "tests/common/trust/holders.h"

namespace slipway::trust {
namespace fs = std::filesystem;
namespace {

using fakes::Holders;

constexpr const char* roles[] = {"root", "targets", "snapshot", "timestamp"};

/// The repository as it was before a change and as it is after it, and every state between: the
/// files that the change published appear one by one, in their order.
template <typename Check>
void at_every_step(const Holders& holders, const fs::path& before, const Outcome& outcome,
                   Check check) {
    const fs::path after = holders.directory.path() / "after";
    fs::rename(holders.metadata(), after);
    fs::copy(before, holders.metadata());
    for (std::size_t step = 0;; ++step) {
        check(step);
        if (step == outcome.published.size()) {
            break;
        }
        fs::copy_file(after / outcome.published[step], holders.metadata() / outcome.published[step],
                      fs::copy_options::overwrite_existing);
    }
    fs::remove_all(after);
}

} // namespace

TEST_CASE("RepositoryEditor: a key that replaces another serves every reader at every step",
          "[editor]") {
    const Holders holders;
    REQUIRE(holders.publish("a", "one"));
    const fs::path before = holders.directory.path() / "before";
    const fs::path host = holders.directory.path() / "host";
    const std::string role = GENERATE(from_range(std::begin(roles), std::end(roles)));
    CAPTURE(role);
    REQUIRE(holders.find(host, "a"));
    fs::copy(holders.metadata(), before);
    const auto old = holders.key_id(role);
    const auto outcome = holders.change(role, {{holders.new_key("first", role)}, {old}, {}});
    CHECK(outcome.waiting.empty());
    CHECK(outcome.published.back() == "2.root.json");
    // The old key is put aside, and what it signs alone counts for nothing.
    CHECK(holders.key_id(role) != old);
    CHECK(fs::exists(holders.keys() / "retired" / (role + ".pem")));
    at_every_step(holders, before, outcome, [&](std::size_t step) {
        CAPTURE(step);
        const auto fresh = holders.directory.path() / ("fresh" + std::to_string(step));
        CHECK(holders.find(fresh, "a"));
        CHECK(holders.find(host, "a"));
        // And whoever is killed there can go on.
        CHECK(RepositoryEditor::open(holders.repository, holders.keys("new"), holders.now));
    });
    REQUIRE(holders.publish("b", "two"));
    CHECK(holders.find(host, "b"));
    CHECK_FALSE(fs::exists(staged_directory(holders.repository)));
}

TEST_CASE("RepositoryEditor: without the old key the root comes first, and a kill is finished",
          "[editor]") {
    const Holders holders;
    REQUIRE(holders.publish("a", "one"));
    const std::string role = GENERATE("targets", "snapshot", "timestamp");
    CAPTURE(role);
    const fs::path host = holders.directory.path() / "host";
    REQUIRE(holders.find(host, "a"));
    const auto old = holders.key_id(role);
    fs::remove(holders.keys() / (role + ".pem")); // Lost.
    fs::copy(holders.metadata(), holders.directory.path() / "before");
    const auto outcome = holders.change(role, {{holders.new_key("first", role)}, {old}, {}});
    REQUIRE(outcome.published.back() == "timestamp.json");
    CHECK(std::find(outcome.published.begin(), outcome.published.end(), "2.root.json") !=
          outcome.published.end());
    CHECK(holders.find(host, "a"));
    // Killed before the last step: the timestamp is the old one, the new one lies ready.
    fs::create_directories(staged_directory(holders.repository));
    fs::rename(holders.metadata() / "timestamp.json",
               staged_directory(holders.repository) / "timestamp.json");
    fs::copy_file(holders.directory.path() / "before/timestamp.json",
                  holders.metadata() / "timestamp.json");
    const auto fresh = holders.directory.path() / "fresh";
    CHECK(holders.find(fresh, "a").error().code == Errc::verification_failed);
    REQUIRE(holders.publish("b", "two"));
    CHECK(holders.find(fresh, "b"));
    CHECK(holders.find(host, "b"));
}

TEST_CASE("RepositoryEditor: targets of two holders wait for both", "[editor]") {
    const Holders holders;
    REQUIRE(holders.publish("a", "one"));
    const auto second = holders.new_key("second", "targets");
    const auto changed = holders.change("targets", {{second}, {}, 2});
    // The published targets have one signature of the two that the new root wants.
    REQUIRE(changed.waiting.size() == 1);
    CHECK(changed.waiting[0].role == "targets");
    CHECK(changed.waiting[0].missing == std::vector{second.id()});
    CHECK(changed.published.empty());
    auto signed_by_second = holders.sign("second");
    // The second holder has no key for snapshot and timestamp.
    REQUIRE(signed_by_second.waiting.size() == 1);
    CHECK(signed_by_second.waiting[0].role == "snapshot");
    CHECK(holders.sign("first").published.back() == "2.root.json");

    const fs::path host = holders.directory.path() / "host";
    const auto published = holders.publish("b", "two");
    REQUIRE(published);
    REQUIRE(published->waiting.size() == 1);
    CHECK(published->waiting[0].threshold == 2);
    CHECK(published->waiting[0].signed_by.size() == 1);
    CHECK(holders.find(host, "b").error().code == Errc::not_found);
    CHECK(holders.publish("c", "three").error().code == Errc::busy);
    CHECK(holders.publish("c", "three", "second").error().code == Errc::busy);
    CHECK(holders.sign("second").published.empty());
    CHECK(holders.sign("first").published.size() == 3);
    CHECK(holders.find(host, "b"));
    CHECK(holders.find(host, "a"));
}

TEST_CASE("RepositoryEditor: a root needs the thresholds of the old one and of the new one",
          "[editor]") {
    const Holders holders;
    const auto second = holders.new_key("second", "root");
    const auto waits = holders.change("root", {{second}, {}, 2});
    REQUIRE(waits.waiting.size() == 1);
    CHECK(waits.waiting[0].under == "root version 2");
    CHECK(waits.published.empty());
    CHECK(holders.sign("first").published.empty()); // Once is not twice.
    CHECK(holders.sign("second").published == std::vector<std::string>{"2.root.json"});
    // From here on one is not enough to take the other away.
    const auto coup = holders.change("root", {{}, {second.id()}, 1});
    REQUIRE(coup.waiting.size() == 1);
    CHECK(coup.waiting[0].under == "root version 2");
    CHECK_FALSE(fs::exists(holders.metadata() / "3.root.json"));
    // The second holder does not agree.
    auto editor = holders.open("second");
    CHECK(change_keys(editor, "root", {{}, {holders.key_id("root")}, 1}).error().code ==
          Errc::busy);
    REQUIRE(editor.discard("root"));
    CHECK(holders.open("first").drafts().empty());
}

TEST_CASE("RepositoryEditor: a root that waits does not keep a publication back", "[editor]") {
    const Holders holders;
    const auto second = holders.new_key("second", "root");
    REQUIRE(holders.change("root", {{second}, {}, 2}).waiting.size() == 1);
    const auto published = holders.publish("a", "one");
    REQUIRE(published);
    CHECK(published->published.size() == 3);
    CHECK(holders.find(holders.directory.path() / "host", "a"));
    CHECK(holders.open().has_draft("root"));
}

TEST_CASE("RepositoryEditor: a holder's publication is not signed by another one unseen",
          "[editor]") {
    const Holders holders;
    (void)holders.change("targets", {{holders.new_key("second", "targets")}, {}, 2});
    (void)holders.sign("second");
    (void)holders.sign("first");
    REQUIRE(holders.publish("a", "one")->waiting.size() == 1);
    // The second holder changes a root; settling leaves the staged targets alone.
    const auto root = holders.new_key("second", "root");
    (void)holders.change("root", {{root}, {}, {}});
    auto editor = holders.open("second");
    const auto outcome = editor.settle(RepositoryEditor::Staged::leave);
    REQUIRE(outcome);
    CHECK(outcome->waiting[0].role == "targets");
    CHECK(outcome->waiting[0].signed_by.size() == 1);
}

TEST_CASE("RepositoryEditor: what nobody of the role signed is not taken up", "[editor]") {
    const Holders holders;
    const Holders strangers;
    fs::create_directories(staged_directory(holders.repository));
    const auto staged = staged_directory(holders.repository) / "targets.json";
    REQUIRE(strangers.publish("a", "evil"));
    fs::copy_file(strangers.metadata() / "2.targets.json", staged);
    const auto opened = RepositoryEditor::open(holders.repository, holders.keys(), holders.now);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == Errc::verification_failed);
    CHECK(opened.error().context.find(staged.string()) != std::string::npos);
    // One that the repository has overtaken goes.
    fs::remove(staged);
    fs::copy_file(holders.metadata() / "1.targets.json", staged);
    CHECK(holders.open().drafts().empty());
    CHECK_FALSE(fs::exists(staged));
}

TEST_CASE("RepositoryEditor: thresholds and keys that cannot be are refused", "[editor]") {
    const Holders holders;
    auto editor = holders.open();
    const auto key = holders.new_key("second", "targets");
    CHECK(change_keys(editor, "targets", {{}, {}, 2}).error().code == Errc::usage);
    CHECK(change_keys(editor, "targets", {{key}, {}, 0}).error().code == Errc::usage);
    CHECK(change_keys(editor, "targets", {{}, {"0123"}, {}}).error().code == Errc::not_found);
    CHECK(change_keys(editor, "nobody", {{key}, {}, {}}).error().code == Errc::not_found);
    auto fresh = holders.open();
    const auto own = holders.key_id("targets");
    CHECK(change_keys(fresh, "targets", {{}, {own.substr(0, 8)}, {}}).error().code == Errc::usage);
    CHECK(delegate(fresh, "timestamp", {{key}, {}, {}}).error().code == Errc::usage);
    CHECK(delegate(fresh, "Web/..", {{key}, {}, {}}).error().code == Errc::usage);
    CHECK(undelegate(fresh, "web").error().code == Errc::not_found);
}

TEST_CASE("RepositoryEditor: a delegated key publishes below its prefix, and nothing else",
          "[editor]") {
    const Holders holders;
    const fs::path host = holders.directory.path() / "host";
    REQUIRE(holders.publish("db/1/packmap", "db"));
    const auto key = holders.new_key("team", "web");
    auto editor = holders.open();
    REQUIRE(delegate(editor, "web", {{key}, {}, {}}));
    auto outcome = editor.settle(RepositoryEditor::Staged::leave);
    REQUIRE(outcome);
    REQUIRE(outcome->waiting.size() == 1); // The role has no metadata without its key.
    CHECK(outcome->waiting[0].role == "web");
    CHECK(holders.find(host, "db/1/packmap"));
    CHECK(holders.sign("team").published.empty());
    CHECK(holders.sign("first").published.size() == 4);

    for (const auto* role : {"snapshot", "timestamp"}) { // As a publisher of the team has them.
        fs::copy_file(holders.keys() / (std::string(role) + ".pem"),
                      holders.keys("team") / (std::string(role) + ".pem"));
    }
    REQUIRE(holders.publish("web/1/packmap", "web", "team"));
    REQUIRE(holders.publish("web/api/1/packmap", "api", "team"));
    CHECK(holders.find(host, "web/1/packmap"));
    CHECK(holders.find(host, "web/api/1/packmap"));
    CHECK(holders.body(holders.metadata() / "3.web.json")["targets"].size() == 2);
    const auto outside = holders.publish("webby/1/packmap", "x", "team");
    REQUIRE_FALSE(outside);
    CHECK(outside.error().context.find("web only") != std::string::npos);

    SECTION("its key can be replaced") {
        const auto next = holders.new_key("team", "web");
        REQUIRE(holders.change("web", {{next}, {key.id()}, {}}).waiting.size() == 1);
        (void)holders.sign("team");
        REQUIRE(holders.sign("first").waiting.empty());
        CHECK(holders.find(host, "web/1/packmap"));
        REQUIRE(holders.publish("web/2/packmap", "two", "team"));
        CHECK(holders.find(host, "web/2/packmap"));
    }
    SECTION("it can be taken back, and given again from nothing") {
        auto taking = holders.open();
        REQUIRE(undelegate(taking, "web"));
        REQUIRE(taking.settle(RepositoryEditor::Staged::leave)->waiting.empty());
        CHECK(holders.find(host, "web/1/packmap").error().code == Errc::not_found);
        CHECK(holders.find(host, "db/1/packmap"));
        CHECK_FALSE(holders.publish("web/2/packmap", "two", "team"));
        auto giving = holders.open();
        REQUIRE(delegate(giving, "web", {{key}, {}, {}}));
        (void)giving.settle(RepositoryEditor::Staged::leave);
        (void)holders.sign("team");
        CHECK(holders.find(host, "web/1/packmap").error().code == Errc::not_found);
        REQUIRE(holders.publish("web/3/packmap", "three", "team"));
        CHECK(holders.find(host, "web/3/packmap"));
    }
}

TEST_CASE("RepositoryEditor: a timestamp of two holders waits for both too", "[editor]") {
    const Holders holders;
    const auto second = holders.new_key("second", "timestamp");
    (void)holders.change("timestamp", {{second}, {}, 2});
    CHECK(holders.sign("second").published.back() == "2.root.json");
    const auto published = holders.publish("a", "one");
    REQUIRE(published);
    REQUIRE(published->waiting.size() == 1);
    CHECK(published->waiting[0].role == "timestamp");
    CHECK(holders.sign("second").published.size() == 3);
    CHECK(holders.find(holders.directory.path() / "host", "a"));
}

TEST_CASE("RepositoryEditor: differences name what a signature would allow", "[editor]") {
    const Holders holders;
    auto editor = holders.open();
    const auto key = holders.new_key("team", "web");
    REQUIRE(delegate(editor, "web", {{key}, {}, {}}));
    REQUIRE(change_keys(editor, "root", {{key}, {}, 2}));
    const auto drafts = editor.drafts();
    const auto has = [](const std::vector<std::string>& lines, const std::string& line) {
        return std::find(lines.begin(), lines.end(), line) != lines.end();
    };
    const auto root = differences(editor.published().root_file.file.body, drafts.at("root"));
    CHECK(has(root, "role root: adds key " + key.id().substr(0, 16)));
    CHECK(has(root, "role root: needs 2 of 2 keys"));
    const auto targets = differences(editor.published().targets.file.body, drafts.at("targets"));
    CHECK(has(targets, "delegation web: adds key " + key.id().substr(0, 16)));
    CHECK(has(targets, "delegation web: terminating true"));
}

} // namespace slipway::trust
