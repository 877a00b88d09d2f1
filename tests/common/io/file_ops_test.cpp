#include "common/io/file_ops.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include "common/core/errc.h"
#include "tests/fakes/temporary_directory.h"

namespace slipway {
namespace fs = std::filesystem;

TEST_CASE("replace_file: content and mode are exact, and no temporary file is left", "[file_ops]") {
    const fakes::TemporaryDirectory directory;
    const auto path = directory.path() / "key";
    REQUIRE(replace_file(path, as_bytes("old"), 0600));
    REQUIRE(replace_file(path, as_bytes("new"), 0600));
    CHECK(as_text(*read_file(path, 100)) == "new");
    struct stat info{};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777U) == 0600U);
    CHECK(std::distance(fs::directory_iterator(directory.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("replace_file: a failure names the file and leaves the old one", "[file_ops]") {
    const fakes::TemporaryDirectory directory;
    const auto target = directory.path() / "state";
    fs::create_directories(target / "occupied");
    const auto replaced = replace_file(target, as_bytes("x"));
    REQUIRE_FALSE(replaced);
    CHECK(replaced.error().context.find(target.string()) != std::string::npos);
    CHECK(std::distance(fs::directory_iterator(directory.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("read_file: longer than the limit is refused before it is read", "[file_ops]") {
    const fakes::TemporaryDirectory directory;
    const auto path = directory.path() / "big";
    REQUIRE(replace_file(path, Bytes(101)));
    CHECK(read_file(path, 101)->size() == 101);
    CHECK(read_file(path, 100).error().code == Errc::verification_failed);
    CHECK(read_file(directory.path() / "none", 1).error().code ==
          std::errc::no_such_file_or_directory);
    CHECK_FALSE(read_file(directory.path(), 4096));
}

TEST_CASE("temporary names are told from others", "[file_ops]") {
    const auto name = temporary_name("/x", "state.json").filename().string();
    CHECK(is_temporary_name(name));
    CHECK(name != temporary_name("/x", "state.json").filename().string());
    for (const auto* other : {"state.json", ".state.tmp", ".hidden", ".0123456789abcdef.tmp", ""}) {
        CAPTURE(other);
        CHECK_FALSE(is_temporary_name(other));
    }
}

TEST_CASE("MappedFile: any offset, an empty file, and what is not there", "[file_ops]") {
    const fakes::TemporaryDirectory directory;
    const auto path = directory.path() / "data";
    Bytes data(10'000);
    for (std::size_t i = 0; i < data.size(); ++i) {
        data[i] = static_cast<std::uint8_t>(i * 7);
    }
    REQUIRE(replace_file(path, data));
    const auto fd = *open_file(path, O_RDONLY);
    const auto middle = MappedFile::map(fd.get(), 5'001, 2'000, false, path);
    REQUIRE(middle);
    CHECK(std::ranges::equal(middle->bytes(), ByteSpan(data).subspan(5'001, 2'000)));
    CHECK_FALSE(MappedFile::map(fd.get(), 9'000, 1'001, false, path));
    CHECK_FALSE(MappedFile::map(fd.get(), 10'001, 0, false, path));
    REQUIRE(replace_file(path, {}));
    CHECK(MappedFile::open(path)->bytes().empty());
}

TEST_CASE("FileLock: the second taker is told who holds it, and gets it after", "[file_ops]") {
    const fakes::TemporaryDirectory directory;
    const auto path = directory.path() / "lock";
    auto first = FileLock::acquire(path, "install web@2", 0);
    REQUIRE(first);
    const auto second = FileLock::acquire(path, "install web@3", 0);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::busy);
    CHECK(second.error().context.find("install web@2") != std::string::npos);
    first = fail(Errc::cancelled, "let go");
    CHECK(FileLock::acquire(path, "install web@3", 0));
}

} // namespace slipway
