#include "common/repository/pack_writer.h"

#include <fcntl.h>
#include <numeric>

#include "common/core/errc.h"
#include "common/repository/ordered_work.h"
#include "common/swarm/metainfo.h"

namespace slipway {
namespace {

/// A pack that grows block by block under a temporary name.
class GrowingPack {
public:
    explicit GrowingPack(TemporaryFile file) : file_(std::move(file)) {}

    Result<> begin() { return write(as_bytes(pack_magic)); }

    Result<> append(Block block, const Encoded& encoded) {
        block.offset = offset_;
        block.encoded_bytes = encoded.bytes.size();
        block.codec = encoded.codec;
        toc_.blocks.push_back(std::move(block));
        return write(encoded.bytes);
    }

    [[nodiscard]] bool empty() const { return toc_.blocks.empty(); }

    Result<WrittenPack> finish(const PackOptions& options) {
        WrittenPack pack;
        const auto encoded_toc = encode_toc(toc_);
        if (encoded_toc.size() > toc_encoded_bytes_max) {
            return fail(Errc::failed, "the pack has too many chunks for one table of contents");
        }
        pack.toc_offset = offset_;
        pack.toc_bytes = encoded_toc.size();
        if (auto written = write(encoded_toc); !written) {
            return tl::unexpected(written.error());
        }
        pack.pieces = pieces_.finish();
        pack.toc = std::move(toc_);
        const PackId id{pack.pieces.root, pack.pieces.bytes};
        const auto path = options.directory / id.name();
        const auto announced = options.announce ? options.announce(id) : Result<>{};
        return announced.and_then([&] { return file_.keep_as(path); })
            .and_then([&] {
                return replace_file(path.string() + ".torrent", swarm::make_metainfo(pack.pieces));
            })
            .map([&] { return std::move(pack); });
    }

private:
    Result<> write(ByteSpan bytes) {
        pieces_.update(bytes);
        offset_ += bytes.size();
        auto written = write_all(file_.fd(), bytes, file_.path());
        // Starts writing to the disk while later blocks are encoded, so that the sync at the end
        // is short. Best effort.
        constexpr std::uint64_t flush_bytes = 8ULL * 1024 * 1024;
        if (offset_ - flushed_ >= flush_bytes) {
            (void)::sync_file_range(file_.fd(), static_cast<off_t>(flushed_),
                                    static_cast<off_t>(offset_ - flushed_), SYNC_FILE_RANGE_WRITE);
            flushed_ = offset_;
        }
        return written;
    }

    TemporaryFile file_;
    MerkleBuilder pieces_;
    PackToc toc_;
    std::uint64_t offset_ = 0;
    std::uint64_t flushed_ = 0;
};

} // namespace

Result<std::optional<WrittenPack>> write_pack(const std::vector<EncodeJob>& jobs,
                                              const PackOptions& options,
                                              const std::stop_token& stop) {
    auto file = TemporaryFile::create(options.directory, "pack");
    if (!file) {
        return tl::unexpected(file.error());
    }
    GrowingPack pack(std::move(*file));
    if (auto begun = pack.begin(); !begun) {
        return tl::unexpected(begun.error());
    }
    OrderedWork<std::optional<Encoded>> order;
    order.count = jobs.size();
    order.workers = options.workers;
    order.memory_bytes_max = options.memory_bytes_max;
    order.memory = [&](std::size_t i) { return jobs[i].memory_bytes; };
    order.work = [&](std::size_t i) { return jobs[i].encode(); };
    order.held = [](const std::optional<Encoded>& encoded) {
        return encoded ? encoded->bytes.capacity() : 0;
    };
    order.take = [&](std::size_t i, const std::optional<Encoded>& encoded) -> Result<> {
        const auto& job = jobs[i];
        Block block{.bases = job.bases, .chunks = job.chunks};
        if (options.progress != nullptr) {
            options.progress->add(block.raw_bytes());
        }
        return encoded ? pack.append(std::move(block), *encoded) : Result<>{};
    };
    if (auto done = run_in_order(order, stop); !done) {
        return tl::unexpected(done.error());
    }
    if (pack.empty()) {
        return std::optional<WrittenPack>();
    }
    return pack.finish(options).map(
        [](WrittenPack written) { return std::optional(std::move(written)); });
}

} // namespace slipway
