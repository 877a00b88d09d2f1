#pragma once

#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/trust/signer.h"
#include "tests/fakes/temporary_directory.h"

namespace slipway::trust::fakes {

/// A repository on the disk and the people who hold its keys, each with a directory of keys.
class Holders {
public:
    using Staged = RepositoryEditor::Staged;

    Holders() { REQUIRE(init_repository(repository, keys(), now)); }

    [[nodiscard]] std::filesystem::path keys(const std::string& name = "first") const {
        return directory.path() / ("keys." + name);
    }
    [[nodiscard]] std::filesystem::path metadata() const { return repository / "metadata"; }
    [[nodiscard]] RepositoryEditor open(const std::string& holder = "first") const {
        auto editor = RepositoryEditor::open(repository, keys(holder), now);
        if (!editor) {
            FAIL(describe(editor.error()));
        }
        return std::move(*editor);
    }
    /// Makes a key of the role for a holder; nobody trusts it yet.
    [[nodiscard]] PublicKey new_key(const std::string& holder, const std::string& role) const {
        const auto key = SigningKey::generate();
        REQUIRE(KeyDirectory(keys(holder)).add(role, *key, ""));
        return key->public_key();
    }
    [[nodiscard]] std::string key_id(const std::string& role,
                                     const std::string& holder = "first") const {
        return KeyDirectory(keys(holder)).keys_of(role)->front().key.public_key().id();
    }
    Outcome change(const std::string& role, const KeyChange& change,
                   const std::string& holder = "first") const {
        auto editor = open(holder);
        auto done = change_keys(editor, role, change).and_then([&] {
            return editor.settle(Staged::leave);
        });
        if (!done) {
            FAIL(describe(done.error()));
        }
        return *done;
    }
    [[nodiscard]] Outcome sign(const std::string& holder) const {
        auto done = open(holder).settle(Staged::sign);
        if (!done) {
            FAIL(describe(done.error()));
        }
        return *done;
    }
    [[nodiscard]] static Target target(const std::string& path, const std::string& content) {
        return {path, content.size(), sha256(as_bytes(content)), ""};
    }
    [[nodiscard]] Result<Outcome> publish(const std::string& path, const std::string& content,
                                          const std::string& holder = "first") const {
        return publish_targets(repository, keys(holder), {target(path, content)}, {}, now);
    }
    /// What a host finds whose trust is in `host`, made there from the first root if it is new.
    [[nodiscard]] Result<Target> find(const std::filesystem::path& host,
                                      const std::string& path) const {
        DirectorySource source(metadata());
        Client client(host, source, now);
        const auto root = read_file(metadata() / "1.root.json", 1'000'000);
        REQUIRE(root);
        return client.trust_root(*root).and_then([&] { return client.refresh(); }).and_then([&] {
            return client.find(path);
        });
    }
    [[nodiscard]] nlohmann::json body(const std::filesystem::path& file) const {
        const auto bytes = read_file(file, 10'000'000);
        REQUIRE(bytes);
        return nlohmann::json::parse(*bytes)["signed"];
    }

    slipway::fakes::TemporaryDirectory directory;
    std::filesystem::path repository = directory.path() / "repo";
    TimePoint now = std::chrono::sys_days(std::chrono::year(2030) / 1 / 1);
};

} // namespace slipway::trust::fakes
