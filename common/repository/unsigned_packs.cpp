#include "common/repository/unsigned_packs.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/repository/layout.h"

namespace slipway {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t note_bytes_max = 1024ULL * 1024;

fs::path note_path(const fs::path& repository) {
    return repository / ".unsigned";
}

/// Whole lines that can be a pack's name; a line that was cut short is none.
std::set<std::string> names_in(std::string_view note) {
    std::set<std::string> names;
    std::istringstream lines{std::string(note)};
    for (std::string line; std::getline(lines, line);) {
        const bool is_name =
            line.size() == 64 && line.find_first_not_of("0123456789abcdef") == std::string::npos;
        if (is_name) {
            names.insert(line);
        }
    }
    return names;
}

/// Takes from `names` those that a signed pack map names.
Result<> keep_signed(LocalRepository& repository, std::set<std::string>& names) {
    for (const auto& listing : repository.listings()) {
        const auto metadata = repository.load(listing.id);
        if (!metadata) {
            return tl::unexpected(metadata.error());
        }
        for (const auto& pack : metadata->packs.packs) {
            names.erase(pack.id.name());
        }
    }
    return {};
}

} // namespace

Result<> note_unsigned_pack(const fs::path& repository, const PackId& pack) {
    const auto path = note_path(repository);
    return open_file(path, O_WRONLY | O_CREAT | O_APPEND, 0644).and_then([&](const Fd& fd) {
        return write_all(fd.get(), as_bytes(pack.name() + "\n"), path).and_then([&]() -> Result<> {
            return ::fsync(fd.get()) == 0 ? Result<>{} : fail_errno("sync " + path.string());
        });
    });
}

Result<> forget_unsigned_packs(const fs::path& repository) {
    std::error_code error;
    fs::remove(note_path(repository), error);
    return error ? fail(error, "remove " + note_path(repository).string()) : Result<>{};
}

Result<> sweep_unsigned_packs(LocalRepository& repository) {
    const auto& directory = repository.directory();
    const auto note = read_file(note_path(directory), note_bytes_max);
    if (!note) {
        return note.error().code == std::errc::no_such_file_or_directory
                   ? Result<>{}
                   : tl::unexpected(note.error());
    }
    auto names = names_in(as_text(*note));
    if (!keep_signed(repository, names)) {
        return {}; // `slipway verify` says what is wrong; the next sweep tries again.
    }
    for (const auto& name : names) {
        for (const auto* suffix : {"", ".torrent"}) {
            std::error_code error;
            const auto path = directory / "packs" / (name + suffix);
            if (fs::remove(path, error); error) {
                return fail(error, "remove " + path.string());
            }
        }
    }
    return forget_unsigned_packs(directory);
}

} // namespace slipway
