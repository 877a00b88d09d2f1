#include "agent/io/stored_packs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/core/errc.h"
#include "common/io/file_ops.h"

namespace slipway::agent {
namespace {

// Pieces that were not fetched are holes.
bool has(int fd, const Range& range) {
    const auto begin = static_cast<off_t>(range.offset);
    const auto end = static_cast<off_t>(range.offset + range.bytes);
    return ::lseek(fd, begin, SEEK_DATA) == begin && ::lseek(fd, begin, SEEK_HOLE) >= end;
}

bool is_pack(int fd, const PackId& id) {
    struct stat info{};
    return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
           static_cast<std::uint64_t>(info.st_size) == id.bytes;
}

} // namespace

Result<std::vector<std::vector<Range>>>
StoredPacks::missing(const std::vector<PackRequest>& requests, std::stop_token stop) {
    std::vector<std::vector<Range>> all;
    for (const auto& request : requests) {
        if (stop.stop_requested()) {
            return fail(Errc::cancelled, "look for pack " + request.pack.name());
        }
        const auto fd = open_file(host_.pack(request.pack), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        const bool there = fd && is_pack(fd->get(), request.pack);
        auto& lacks = all.emplace_back();
        for (const auto& range : request.wanted) {
            if (!there || !has(fd->get(), range)) {
                lacks.push_back(range);
            }
        }
    }
    return all;
}

Result<> StoredPacks::fetch(const std::vector<PackRequest>& requests, std::stop_token stop) {
    lacking_.clear();
    return missing(requests, std::move(stop))
        .and_then([&](const std::vector<std::vector<Range>>& all) -> Result<> {
            std::string names;
            for (std::size_t i = 0; i < all.size(); ++i) {
                if (!all[i].empty()) {
                    lacking_.push_back({requests[i].pack, merged(all[i])});
                    names += (names.empty() ? "" : ", ") + requests[i].pack.name();
                }
            }
            return names.empty() ? Result<>{}
                                 : fail(Errc::not_found,
                                        "parts of packs " + names + "; fetch the artifact again");
        });
}

} // namespace slipway::agent
