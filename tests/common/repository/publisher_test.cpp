#include "common/repository/publisher.h"

#include <algorithm>
#include <fstream>
#include <random>

#include <catch2/catch.hpp>
#include <rapidcheck.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/core/errc.h"
#include "common/repository/verifier.h"
#include "tests/common/repository/sample_repository.h"

namespace slipway {
namespace fs = std::filesystem;
namespace {

using tests::SampleHost;
using tests::SampleRepository;
using tests::ScratchDirectory;
using tests::write_file;

/// Text that does not compress to nothing, the same for the same seed.
std::string noise(unsigned seed, std::size_t bytes) {
    std::mt19937 random(seed);
    std::string text(bytes, '\0');
    for (auto& c : text) {
        c = static_cast<char>(random() % 64 + 32);
    }
    return text;
}

std::string what_is_at(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// Every name of a tree as one line each: what publishing and installing must preserve.
std::vector<std::string> describe_tree(const fs::path& root) {
    std::vector<std::string> lines;
    std::map<std::pair<dev_t, ino_t>, std::string> inodes;
    std::vector<fs::path> paths;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        paths.push_back(entry.path());
    }
    std::ranges::sort(paths, [&](const fs::path& left, const fs::path& right) {
        return index_order(left.lexically_relative(root).string(),
                           right.lexically_relative(root).string());
    });
    for (const auto& path : paths) {
        struct stat info{};
        REQUIRE(::lstat(path.c_str(), &info) == 0);
        const auto name = path.lexically_relative(root).string();
        const auto mode = std::to_string(info.st_mode & 07777U);
        if (S_ISLNK(info.st_mode)) {
            lines.push_back(name + " -> " + fs::read_symlink(path).string());
        } else if (S_ISDIR(info.st_mode)) {
            lines.push_back(name + "/ " + mode);
        } else if (const auto [it, first] = inodes.try_emplace({info.st_dev, info.st_ino}, name);
                   !first) {
            lines.push_back(name + " = " + it->second);
        } else {
            lines.push_back(name + " " + mode + " " + what_is_at(path));
        }
    }
    return lines;
}

std::vector<std::string> describe_installed(const SampleHost& host) {
    std::vector<std::string> lines;
    for (const auto& entry : host.entries()) {
        switch (entry.kind) {
        case EntryKind::directory:
            lines.push_back(entry.path + "/ " + std::to_string(entry.mode));
            break;
        case EntryKind::file:
            lines.push_back(entry.path + " " + std::to_string(entry.mode) + " " +
                            host.content(entry));
            break;
        case EntryKind::symlink:
            lines.push_back(entry.path + " -> " + entry.target);
            break;
        case EntryKind::hard_link:
            lines.push_back(entry.path + " = " + entry.target);
            break;
        }
    }
    return lines;
}

/// Changes a tree at random: new files, changed ones, removals, renames, links.
void grow_tree(const fs::path& root, int steps) {
    const auto names = rc::gen::element<std::string>("a", "b.js", "main.3f2a9c01.js",
                                                     "main.b81e77f2.js", "\xff\xfe", "x y", "-");
    for (int i = 0; i < steps; ++i) {
        auto parent = root;
        for (int depth = *rc::gen::inRange(0, 3); depth > 0; --depth) {
            parent /= *names + "d";
        }
        fs::create_directories(parent);
        const auto path = parent / *names;
        std::error_code ignored;
        switch (*rc::gen::inRange(0, 8)) {
        case 0:
            fs::remove_all(path, ignored);
            break;
        case 1:
            fs::create_symlink(*names, path, ignored);
            break;
        case 2:
            fs::create_hard_link(parent / *names, path, ignored);
            break;
        case 3:
            fs::rename(path, parent / (*names + "2"), ignored);
            break;
        case 4:
            fs::create_directory(parent / (*names + "e"), ignored);
            break;
        default:
            if (!fs::exists(fs::symlink_status(path))) {
                write_file(path, noise(*rc::gen::inRange(0U, 5U),
                                       *rc::gen::inRange<std::size_t>(0, 20'000)));
                ::chmod(path.c_str(), *rc::gen::element<mode_t>(0644, 0755, 0400));
            } else if (fs::is_regular_file(fs::symlink_status(path))) {
                auto content = what_is_at(path);
                content.insert(content.size() / 2, noise(*rc::gen::inRange(0U, 99U), 10));
                fs::remove(path); // Hard links keep the old content.
                write_file(path, content);
            }
        }
    }
}

} // namespace

TEST_CASE("publish: any pair of trees comes back whole, and an upgrade never moves more",
          "[publish]") {
    CHECK(rc::check([] {
        const SampleRepository repository;
        const auto tree = repository.scratch() / "tree";
        fs::create_directory(tree);
        grow_tree(tree, *rc::gen::inRange(0, 30));
        const auto first_lines = describe_tree(tree);
        RC_ASSERT(repository.publish("app@1", tree).has_value());
        grow_tree(tree, *rc::gen::inRange(0, 10));
        const auto second_lines = describe_tree(tree);
        RC_ASSERT(repository.publish("app@2", tree).has_value());

        SampleHost upgraded(repository);
        upgraded.install(repository.load("app@1"));
        RC_ASSERT(describe_installed(upgraded) == first_lines);
        const auto upgrade_bytes = upgraded.install(repository.load("app@2"));
        RC_ASSERT(describe_installed(upgraded) == second_lines);
        SampleHost fresh(repository);
        const auto full_bytes = fresh.install(repository.load("app@2"));
        RC_ASSERT(describe_installed(fresh) == second_lines);
        RC_ASSERT(upgrade_bytes <= full_bytes);
    }));
}

TEST_CASE("publish: one tree gives one manifest in every repository", "[publish]") {
    const SampleRepository left;
    const SampleRepository right;
    for (const auto* repository : {&left, &right}) {
        const auto tree = repository->scratch() / "tree";
        write_file(tree / "bin" / "server", noise(1, 100'000));
        write_file(tree / "data.js", noise(2, 5'000));
        fs::create_directory(tree / "empty");
    }
    write_file(right.scratch() / "other" / "more", "more");
    REQUIRE(right.publish("web@0", right.scratch() / "other")); // Another history.
    const auto first = left.publish("web@1", left.scratch() / "tree");
    const auto second = right.publish("web@1", right.scratch() / "tree");
    REQUIRE(first);
    REQUIRE(second);
    CHECK(first->digest == second->digest);
}

TEST_CASE("publish: a version is published once", "[publish]") {
    const SampleRepository repository;
    const auto tree = repository.scratch() / "tree";
    write_file(tree / "a", "one");
    REQUIRE(repository.publish("web@1", tree));
    const auto again = repository.publish("web@1", tree);
    REQUIRE(again);
    CHECK(again->already_published);
    write_file(tree / "a", "two");
    const auto other = repository.publish("web@1", tree);
    REQUIRE_FALSE(other);
    CHECK(other.error().code == Errc::failed);
    CHECK(other.error().context.find("web@1 is published already") != std::string::npos);
}

TEST_CASE("publish: what an artifact cannot hold is refused by its path", "[publish]") {
    const SampleRepository repository;
    const auto tree = repository.scratch() / "tree";
    const auto bad = tree / "dir" / "bad";
    write_file(tree / "good", "good");
    fs::create_directories(bad.parent_path());
    const auto refused = [&] {
        const auto published = repository.publish("web@1", tree);
        const auto files = repository.pack_files();
        return !published && published.error().context.find(bad.string()) != std::string::npos &&
               files.empty();
    };
    SECTION("a FIFO") {
        REQUIRE(::mkfifo(bad.c_str(), 0600) == 0);
        CHECK(refused());
    }
    SECTION("a socket") {
        const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        bad.string().copy(&address.sun_path[0], sizeof address.sun_path - 1);
        REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        CHECK(refused());
        ::close(fd);
    }
    SECTION("a set-user-ID file, unless it is allowed") {
        write_file(bad, "#!");
        REQUIRE(::chmod(bad.c_str(), 04755) == 0);
        CHECK(refused());
        auto request = repository.request("web@1", tree);
        request.allow_setuid = true;
        REQUIRE(publish(request, {}));
        SampleHost host(repository);
        host.install(repository.load("web@1"));
        CHECK(describe_installed(host) == describe_tree(tree));
    }
    SECTION("a file that cannot be read") {
        write_file(bad, "secret");
        REQUIRE(::chmod(bad.c_str(), 0) == 0);
        if (::geteuid() != 0) {
            CHECK(refused());
        }
    }
}

TEST_CASE("publish: an upgrade is small: patches, also of renamed and of large files",
          "[publish]") {
    const SampleRepository repository;
    const auto tree = repository.scratch() / "tree";
    auto program = noise(1, 3'000'000);
    auto script = noise(2, 200'000);
    write_file(tree / "program", program);
    write_file(tree / "js" / "main.3f2a9c01.js", script);
    write_file(tree / "old" / "place" / "table", noise(3, 400'000));
    REQUIRE(repository.publish("app@1", tree));
    program.insert(1'000'000, "inserted");
    script.replace(1000, 10, "0123456789");
    write_file(tree / "program", program);
    fs::remove(tree / "js" / "main.3f2a9c01.js");
    write_file(tree / "js" / "main.b81e77f2.js", script);
    fs::remove_all(tree / "old");
    write_file(tree / "new" / "name", noise(3, 400'000) + "appended");
    REQUIRE(repository.publish("app@2", tree));

    SampleHost host(repository);
    const auto full = host.install(repository.load("app@1"));
    const auto upgrade = host.install(repository.load("app@2"));
    CHECK(describe_installed(host) == describe_tree(tree));
    CHECK(upgrade < full / 100);
}

TEST_CASE("publish: a host two versions behind goes through a chain or a direct patch",
          "[publish]") {
    const SampleRepository repository;
    const auto tree = repository.scratch() / "tree";
    auto content = noise(1, 500'000);
    for (int version = 1; version <= 5; ++version) {
        write_file(tree / "file", content);
        REQUIRE(repository.publish("app@" + std::to_string(version), tree));
        content.insert(static_cast<std::size_t>(version) * 50'000, "a change");
    }
    SampleHost behind(repository);
    const auto full = behind.install(repository.load("app@1"));
    const auto upgrade = behind.install(repository.load("app@5"));
    CHECK(upgrade < full / 100);
    CHECK(describe_installed(behind) == describe_tree(tree));
}

TEST_CASE("publish: a release that reverts one stores nothing in full again", "[publish]") {
    const SampleRepository repository;
    const auto tree = repository.scratch() / "tree";
    write_file(tree / "file", noise(1, 300'000));
    REQUIRE(repository.publish("app@1", tree));
    write_file(tree / "file", noise(2, 300'000));
    REQUIRE(repository.publish("app@2", tree));
    write_file(tree / "file", noise(1, 300'000));
    const auto reverted = repository.publish("app@3", tree);
    REQUIRE(reverted);
    for (const auto& pack : reverted->new_packs) {
        CHECK(pack.role == PackRole::patch);
    }
}

TEST_CASE("publish: leftovers of a killed run are swept, and a cancelled one leaves none",
          "[publish]") {
    const SampleRepository repository;
    const auto tree = repository.scratch() / "tree";
    write_file(tree / "file", noise(1, 300'000));
    write_file(repository.path() / "packs" / ".pack.0123456789abcdef.tmp", "half");
    write_file(repository.path() / "tmp" / "anything", "half");
    std::stop_source stop;
    stop.request_stop();
    const auto cancelled = publish(repository.request("app@1", tree), stop.get_token());
    REQUIRE_FALSE(cancelled);
    CHECK(cancelled.error().code == Errc::cancelled);
    CHECK(repository.pack_files().empty());
    CHECK_FALSE(fs::exists(repository.path() / "tmp"));
    REQUIRE(repository.publish("app@1", tree));
    CHECK(repository.pack_files().size() == 2); // A pack and its metainfo.
}

TEST_CASE("publish: packs without a signature are swept by the next publication, others stay",
          "[publish]") {
    const SampleRepository repository;
    const auto tree = repository.scratch() / "tree";
    write_file(tree / "file", noise(1, 300'000));
    const auto first = repository.publish("app@1", tree);
    REQUIRE(first);
    const auto signed_packs = repository.pack_files();

    write_file(tree / "file", noise(2, 300'000));
    auto unsigned_request = repository.request("app@2", tree);
    unsigned_request.keys = repository.scratch() / "no-keys"; // It ends where the signature begins.
    REQUIRE_FALSE(publish(unsigned_request, {}));
    REQUIRE(repository.pack_files().size() == signed_packs.size() + 2);
    std::ofstream(repository.path() / ".unsigned", std::ios::app)
        << first->new_packs.front().id.name() << "\n../../tree/file\n0123";

    write_file(tree / "file", noise(1, 300'000));
    REQUIRE(repository.publish("app@3", tree));
    CHECK(repository.pack_files() == signed_packs);
    CHECK_FALSE(fs::exists(repository.path() / ".unsigned"));
    CHECK(fs::exists(tree / "file"));
    SampleHost host(repository);
    host.install(repository.load("app@3"));
}

TEST_CASE("publish: a tree whose file index would be too long is refused, and says why",
          "[publish]") {
    const SampleRepository repository;
    const auto tree = repository.scratch() / "tree";
    fs::create_directories(tree);
    const std::string target(4000, 'x'); // So that 17 000 names do for 64 MiB of index.
    for (int i = 0; i < 17'000; ++i) {
        fs::create_symlink(target, tree / std::to_string(i));
    }
    const auto published = repository.publish("app@1", tree);
    REQUIRE_FALSE(published);
    CHECK(published.error().code == Errc::failed);
    CHECK(published.error().context.find("17000 names") != std::string::npos);
    CHECK(repository.pack_files().empty());
}

TEST_CASE("publish: an unknown version to patch from is not found", "[publish]") {
    const SampleRepository repository;
    write_file(repository.scratch() / "tree" / "file", "x");
    auto request = repository.request("app@1", repository.scratch() / "tree");
    request.patch_from = std::vector<std::string>{"0.9"};
    const auto published = publish(request, {});
    REQUIRE_FALSE(published);
    CHECK(published.error().code == Errc::not_found);
    CHECK(published.error().context.find("app@0.9") != std::string::npos);
}

} // namespace slipway
