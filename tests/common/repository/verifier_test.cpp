#include "common/repository/verifier.h"

#include <algorithm>
#include <fstream>
#include <random>

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "tests/common/repository/sample_repository.h"

namespace slipway {
namespace fs = std::filesystem;
namespace {

using tests::SampleRepository;
using tests::write_file;

std::string noise(unsigned seed, std::size_t bytes) {
    std::mt19937 random(seed);
    std::string text(bytes, '\0');
    for (auto& c : text) {
        c = static_cast<char>(random() % 64 + 32);
    }
    return text;
}

/// Two versions, so that there are base packs, a patch pack, indexes and manifests.
void publish_two(const SampleRepository& repository) {
    const auto tree = repository.scratch() / "tree";
    auto content = noise(1, 60'000);
    write_file(tree / "file", content);
    write_file(tree / "small", "small");
    REQUIRE(repository.publish("app@1", tree));
    content.insert(30'000, "a change");
    write_file(tree / "file", content);
    REQUIRE(repository.publish("app@2", tree));
}

bool finds(const SampleRepository& repository, const std::string& name) {
    const auto report = verify_repository(repository.path(), nullptr, {});
    if (!report) {
        return report.error().code == Errc::verification_failed &&
               report.error().context.find(name) != std::string::npos;
    }
    return std::ranges::any_of(report->damage, [&](const std::string& line) {
        return line.find(name) != std::string::npos;
    });
}

void flip(const fs::path& path, std::uint64_t at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const auto byte = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(byte ^ 0x40));
}

} // namespace

TEST_CASE("verify: a good repository has no damage", "[verify]") {
    const SampleRepository repository;
    publish_two(repository);
    const auto report = verify_repository(repository.path(), nullptr, {});
    REQUIRE(report);
    CHECK(report->damage.empty());
    CHECK(report->artifacts == 2);
    CHECK(report->packs == 3);
}

TEST_CASE("verify: a flipped byte, a cut and a missing file are found and named", "[verify]") {
    const SampleRepository repository;
    publish_two(repository);
    const auto backup = repository.scratch() / "backup";
    fs::copy(repository.path(), backup, fs::copy_options::recursive);
    std::vector<fs::path> files;
    for (const auto* part : {"packs", "targets"}) {
        for (const auto& entry : fs::recursive_directory_iterator(repository.path() / part)) {
            if (entry.is_regular_file()) {
                files.push_back(entry.path());
            }
        }
    }
    CHECK(files.size() == 6 + 4);
    for (const auto& file : files) {
        const auto name = file.filename().string();
        const auto bytes = fs::file_size(file);
        CAPTURE(name, bytes);
        const auto restore = [&] {
            fs::copy_file(backup / file.lexically_relative(repository.path()), file,
                          fs::copy_options::overwrite_existing);
        };
        for (const auto at : {std::uint64_t{0}, bytes / 2, bytes - 1}) {
            CAPTURE(at);
            flip(file, at);
            CHECK(finds(repository, name));
            restore();
        }
        fs::resize_file(file, bytes / 2);
        CHECK(finds(repository, name));
        restore();
        fs::remove(file);
        CHECK(finds(repository, name));
        restore();
    }
    CHECK_FALSE(finds(repository, ""));
}

} // namespace slipway
