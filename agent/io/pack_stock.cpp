#include "agent/io/pack_stock.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/io/file_ops.h"
#include "agent/io/release_store.h"
#include "common/io/file_ops.h"

namespace slipway::agent {
namespace fs = std::filesystem;
namespace {

constexpr const char* metainfo_suffix = ".torrent";

std::vector<Range> ranges_with_blocks(int fd, std::uint64_t bytes) {
    std::vector<Range> ranges;
    for (off_t at = 0; std::cmp_less(at, bytes);) {
        const auto begin = ::lseek(fd, at, SEEK_DATA);
        if (begin < 0) {
            break; // Nothing but a hole is left.
        }
        const auto end = ::lseek(fd, begin, SEEK_HOLE);
        if (end <= begin) {
            break;
        }
        ranges.push_back(
            {static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(end - begin)});
        at = end;
    }
    return ranges;
}

std::optional<StockedPack> stocked_pack(const fs::path& metainfo) {
    const auto root = Sha256Digest::from_hex(metainfo.stem().string());
    struct stat used{};
    struct stat info{};
    const auto file = open_file(metainfo.parent_path() / metainfo.stem(),
                                O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (!root || !file || ::stat(metainfo.c_str(), &used) != 0 ||
        ::fstat(file->get(), &info) != 0 || !S_ISREG(info.st_mode)) {
        return std::nullopt;
    }
    const PackId id{*root, static_cast<std::uint64_t>(info.st_size)};
    return StockedPack{id,
                       {id.name(), static_cast<std::uint64_t>(info.st_blocks) * 512,
                        static_cast<std::int64_t>(used.st_mtime)},
                       ranges_with_blocks(file->get(), id.bytes)};
}

void pin(const ServicePaths& paths, const ReleaseId& release, std::set<std::string>& pinned) {
    const auto file = paths.record(release) / record_file::pack_map;
    const auto map = read_file(file, pack_map_bytes_max).and_then([&](const Bytes& bytes) {
        return decode_pack_map(bytes, file.string());
    });
    if (map) {
        for (const auto& entry : map->packs) {
            pinned.insert(entry.id.name());
        }
    }
}

} // namespace

std::vector<StockedPack> stocked_packs(const HostLayout& host) {
    std::vector<StockedPack> packs;
    std::error_code ec;
    for (fs::directory_iterator it(host.packs(), ec); !ec && it != fs::directory_iterator();
         it.increment(ec)) {
        if (it->path().extension() != metainfo_suffix) {
            continue;
        }
        if (auto pack = stocked_pack(it->path())) {
            packs.push_back(std::move(*pack));
        }
    }
    return packs;
}

void note_used(const HostLayout& host, const PackId& id) {
    // Without it the pack counts as old, and is fetched again after all.
    (void)::utimensat(AT_FDCWD, host.metainfo(id).c_str(), nullptr, 0);
}

std::set<std::string> pinned_packs(const HostLayout& host) {
    std::set<std::string> pinned;
    RealFileOps files;
    const auto names = host.service_names();
    for (const auto& name : names.value_or(std::vector<std::string>{})) {
        const ReleaseStore store(files, host.service(name));
        const auto history = store.history("");
        const auto installed = store.installed();
        if (!history || !installed) {
            continue;
        }
        for (const auto& record : *installed) {
            const auto id = record.id();
            const bool ran = std::ranges::any_of(
                history->activations, [&](const Activation& one) { return one.release == id; });
            if (!ran || history->current() == id || history->previous() == id) {
                pin(store.paths(), id, pinned);
            }
        }
    }
    return pinned;
}

} // namespace slipway::agent
