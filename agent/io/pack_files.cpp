#include "agent/io/pack_files.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/io/parallel.h"
#include "common/swarm/pieces.h"

namespace slipway::agent {
namespace fs = std::filesystem;

namespace {

std::vector<std::size_t> pieces_of(const swarm::PieceGrid& grid, const std::vector<Range>& ranges) {
    std::vector<std::size_t> pieces;
    for (const auto& range : rounded_to_pieces(ranges, grid.piece_bytes, grid.pack_bytes)) {
        for (auto at = range.offset; at < range.offset + range.bytes; at += grid.piece_bytes) {
            pieces.push_back(static_cast<std::size_t>(at / grid.piece_bytes));
        }
    }
    return pieces;
}

bool is_right(int fd, const PackFile& pack, const swarm::PieceGrid& grid, std::size_t piece) {
    const auto begin = static_cast<off_t>(grid.offset(piece));
    const auto bytes = grid.bytes(piece);
    const auto data = ::lseek(fd, begin, SEEK_DATA);
    if (data < 0 || data >= begin + static_cast<off_t>(bytes)) {
        return false; // A hole: not fetched.
    }
    thread_local Bytes buffer;
    buffer.resize(bytes);
    return pread_all(fd, buffer, grid.offset(piece), pack.file) &&
           swarm::piece_digest(buffer, grid) == pack.layer[piece];
}

} // namespace

Result<std::vector<Range>> missing_ranges(PackFile& pack, const std::vector<Range>& wanted,
                                          std::stop_token stop, Progress* progress) {
    const swarm::PieceGrid grid(pack.id);
    pack.verified.resize(grid.count());
    std::vector<std::size_t> unknown;
    for (const auto piece : pieces_of(grid, wanted)) {
        if (!pack.verified[piece]) {
            unknown.push_back(piece);
        }
    }
    std::vector<char> right(unknown.size()); // Not bits: workers write side by side.
    if (const auto fd = open_file(pack.file, O_RDONLY | O_NOFOLLOW)) {
        auto read = parallel_for(unknown.size(), worker_count(), std::move(stop),
                                 [&](std::size_t i) -> Result<> {
                                     right[i] = is_right(fd->get(), pack, grid, unknown[i]) ? 1 : 0;
                                     if (progress != nullptr) {
                                         progress->add(0);
                                     }
                                     return {};
                                 });
        if (!read) {
            return tl::unexpected(std::move(read.error()));
        }
    }
    std::vector<Range> missing;
    for (std::size_t i = 0; i < unknown.size(); ++i) {
        pack.verified[unknown[i]] = right[i] != 0;
        if (right[i] == 0) {
            missing.push_back({grid.offset(unknown[i]), grid.bytes(unknown[i])});
        }
    }
    return merged(std::move(missing));
}

void note_verified(PackFile& pack, const std::vector<Range>& ranges) {
    const swarm::PieceGrid grid(pack.id);
    pack.verified.resize(grid.count());
    for (const auto piece : pieces_of(grid, ranges)) {
        pack.verified[piece] = true;
    }
}

Result<> reserve_ranges(const PackFile& pack, const std::vector<Range>& ranges) {
    return open_file(pack.file, O_WRONLY | O_CREAT | O_NOFOLLOW, 0644)
        .and_then([&](const Fd& fd) -> Result<> {
            // At full length from the start: MappedFile shows the whole pack.
            if (::ftruncate(fd.get(), static_cast<off_t>(pack.id.bytes)) != 0) {
                return fail_errno("make room for " + pack.file.string());
            }
            for (const auto& range : ranges) {
                if (::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(range.offset),
                                static_cast<off_t>(range.bytes)) != 0 &&
                    errno != EOPNOTSUPP) {
                    return fail_errno("reserve space for " + pack.file.string());
                }
            }
            return {};
        });
}

Result<> copy_ranges(const PackFile& pack, const fs::path& source, const std::vector<Range>& ranges,
                     Progress& progress, std::stop_token stop) {
    const swarm::PieceGrid grid(pack.id);
    auto from = open_file(source, O_RDONLY);
    if (!from) {
        return tl::unexpected(std::move(from.error()));
    }
    auto to = open_file(pack.file, O_WRONLY | O_CREAT | O_NOFOLLOW, 0644);
    if (!to) {
        return tl::unexpected(std::move(to.error()));
    }
    const auto pieces = pieces_of(grid, ranges);
    return parallel_for(pieces.size(), worker_count(), std::move(stop), [&](std::size_t i) {
        const auto piece = pieces[i];
        thread_local Bytes buffer;
        buffer.resize(grid.bytes(piece));
        return pread_all(from->get(), buffer, grid.offset(piece), source)
            .and_then([&]() -> Result<> {
                if (swarm::piece_digest(buffer, grid) != pack.layer[piece]) {
                    return fail(Errc::verification_failed, source.string() + ": piece " +
                                                               std::to_string(piece) +
                                                               " does not match its digest");
                }
                progress.add(buffer.size());
                return pwrite_all(to->get(), buffer, grid.offset(piece), pack.file);
            });
    });
}

} // namespace slipway::agent
