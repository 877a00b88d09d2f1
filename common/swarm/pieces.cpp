#include "common/swarm/pieces.h"

#include <algorithm>
#include <cassert>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/io/parallel.h"

namespace slipway::swarm {
namespace {

// Pieces that an extent with data touches, in rising order.
Result<std::vector<std::size_t>> pieces_with_data(int fd, const PieceGrid& grid,
                                                  const std::filesystem::path& file) {
    std::vector<std::size_t> pieces;
    for (off_t at = 0; static_cast<std::uint64_t>(at) < grid.pack_bytes;) {
        const off_t data = ::lseek(fd, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) {
            break; // Only a hole is left.
        }
        const off_t hole = data < 0 ? -1 : ::lseek(fd, data, SEEK_HOLE);
        if (hole < 0) {
            return fail_errno("find the data of " + file.string());
        }
        const auto first = static_cast<std::size_t>(data / grid.piece_bytes);
        const auto last = static_cast<std::size_t>((hole - 1) / grid.piece_bytes);
        for (auto piece = first; piece <= last && piece < grid.count(); ++piece) {
            if (pieces.empty() || pieces.back() < piece) {
                pieces.push_back(piece);
            }
        }
        at = hole;
    }
    return pieces;
}

Result<Fd> open_at_length(const std::filesystem::path& file, std::uint64_t bytes) {
    return open_file(file, O_RDWR | O_CREAT | O_NOFOLLOW, 0644).and_then([&](Fd fd) -> Result<Fd> {
        struct stat status{};
        if (::fstat(fd.get(), &status) != 0) {
            return fail_errno("stat " + file.string());
        }
        if (static_cast<std::uint64_t>(status.st_size) != bytes &&
            ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
            return fail_errno("set the length of " + file.string());
        }
        return fd;
    });
}

} // namespace

Sha256Digest piece_digest(ByteSpan piece, const PieceGrid& grid) {
    assert(!piece.empty() && piece.size() <= grid.piece_bytes);
    std::vector<Sha256Digest> leaves;
    for (std::size_t at = 0; at < piece.size(); at += merkle_leaf_bytes) {
        leaves.push_back(
            sha256(piece.subspan(at, std::min<std::size_t>(merkle_leaf_bytes, piece.size() - at))));
    }
    if (grid.count() > 1) {
        leaves.resize(grid.piece_bytes / merkle_leaf_bytes);
    }
    return merkle_root(std::move(leaves), Sha256Digest{});
}

Result<std::vector<bool>> take_stock(const std::filesystem::path& file, const PackId& pack,
                                     const std::vector<Sha256Digest>& layer, std::stop_token stop) {
    const PieceGrid grid(pack);
    assert(layer.size() == grid.count());
    const auto fd = open_at_length(file, pack.bytes);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    const auto candidates = pieces_with_data(fd->get(), grid, file);
    if (!candidates) {
        return tl::unexpected(candidates.error());
    }
    std::vector<char> good(candidates->size()); // Not bool: threads write neighbours.
    const auto checked = parallel_for(
        candidates->size(), worker_count(), std::move(stop), [&](std::size_t i) -> Result<> {
            const auto piece = (*candidates)[i];
            Bytes data(grid.bytes(piece));
            return pread_all(fd->get(), data, grid.offset(piece), file).map([&] {
                good[i] = piece_digest(data, grid) == layer[piece] ? 1 : 0;
            });
        });
    if (!checked) {
        return tl::unexpected(checked.error());
    }
    std::vector<bool> have(grid.count());
    for (std::size_t i = 0; i < good.size(); ++i) {
        have[(*candidates)[i]] = good[i] != 0;
    }
    return have;
}

} // namespace slipway::swarm
