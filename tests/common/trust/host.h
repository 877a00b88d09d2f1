#pragma once

#include <string>

#include "common/io/file_ops.h"
#include "tests/common/trust/fake_repository.h"
#include "tests/fakes/temporary_directory.h"

namespace slipway::trust::fakes {

/// A host's trust directory and the clients that run on it one after the other, as an agent's runs
/// do: each refresh is a new client that knows only what is on the disk.
class Host {
public:
    explicit Host(FakeRepository& from) : repository(from) {
        REQUIRE(client().trust_root(repository.files.at("1.root.json")));
    }
    [[nodiscard]] std::filesystem::path path() const { return directory.path() / "trust"; }
    [[nodiscard]] Client client() { return {path(), repository, now}; }

    Result<> refresh() {
        repository.requests.clear();
        return client().refresh();
    }
    /// The reason why a refresh that has to fail did.
    std::string refusal() {
        const auto done = refresh();
        REQUIRE_FALSE(done);
        CHECK(done.error().code == Errc::verification_failed);
        return done.error().context;
    }
    Result<Target> find(const std::string& target) {
        auto fresh = client();
        return fresh.refresh().and_then([&] { return fresh.find(target); });
    }
    /// The version on disk, 0 for none.
    [[nodiscard]] std::uint64_t version(const std::string& role) const {
        const auto bytes = read_file(path() / (role + ".json"), 10'000'000);
        return bytes ? json::parse(*bytes)["signed"]["version"].get<std::uint64_t>() : 0;
    }
    void write(const std::string& name, const Bytes& bytes) const {
        REQUIRE(replace_file(path() / name, bytes));
    }

    slipway::fakes::TemporaryDirectory directory;
    FakeRepository& repository;
    TimePoint now = start_time();
};

} // namespace slipway::trust::fakes
