#include "common/repository/chunk_vault.h"

#include <algorithm>
#include <unordered_map>

#include <fcntl.h>
#include <unistd.h>

#include "common/core/errc.h"
#include "common/format/plan.h"
#include "common/io/parallel.h"
#include "common/repository/layout.h"
#include "common/repository/ordered_work.h"

namespace slipway {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t decode_memory_bytes = 160ULL * 1024 * 1024;

/// Where chunks go in a new file, and where they come from.
struct Filling {
    Plan plan;
    std::vector<const PackToc*> tocs;
    std::vector<fs::path> packs;
    std::unordered_map<ChunkKey, std::uint64_t> offsets;
    std::vector<ChunkRef> order; ///< Chunks of `offsets` in the order of the file.
    std::uint64_t bytes = 0;

    [[nodiscard]] const Block& block(const PlannedBlock& planned) const {
        return tocs[planned.pack]->blocks[planned.block];
    }
    void place(const ChunkRef& chunk, const ChunkPlaces& known) {
        if (!known.has(chunk.key) && offsets.try_emplace(chunk.key, bytes).second) {
            order.push_back(chunk);
            bytes += chunk.bytes;
        }
    }
};

Result<> reserve(int fd, std::uint64_t bytes, const fs::path& path) {
    // Reserved, not only sized: writing into a mapping of a full disk would end the process.
    const int error = bytes == 0 ? 0 : ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
    return error == 0 ? Result<>{}
                      : fail(std::error_code(error, std::generic_category()),
                             "reserve " + std::to_string(bytes) + " bytes for " + path.string());
}

/// Decodes one block and writes those of its chunks that have a place.
class BlockFiller {
public:
    BlockFiller(const Filling& filling, const ChunkPlaces& places, const TemporaryFile& file)
        : filling_(filling), places_(places), file_(file) {}

    Result<> fill(const PlannedBlock& planned) const {
        const auto& block = filling_.block(planned);
        const auto& pack = filling_.packs[planned.pack];
        const auto done = open_file(pack, O_RDONLY)
                              .and_then([&](const Fd& fd) -> Result<Bytes> {
                                  Bytes encoded(block.encoded_bytes);
                                  return pread_all(fd.get(), encoded, block.offset, pack).map([&] {
                                      return std::move(encoded);
                                  });
                              })
                              .and_then([&](const Bytes& encoded) {
                                  return block.chunks.size() == 1 ? fill_in_place(block, encoded)
                                                                  : fill_copied(block, encoded);
                              });
        return done.map_error([&](const Error& error) {
            return within(pack.string() + ": block at byte " + std::to_string(block.offset), error);
        });
    }

private:
    Result<> fill_in_place(const Block& block, const Bytes& encoded) const {
        const auto& chunk = block.chunks.front();
        const auto place = filling_.offsets.find(chunk.key);
        if (place == filling_.offsets.end()) {
            return {};
        }
        return MappedFile::map(file_.fd(), place->second, chunk.bytes, true, file_.path())
            .and_then([&](MappedFile mapped) -> Result<> {
                auto decoded = decode_block_into(block, encoded, places_, mapped.writable_bytes());
                return decoded && !is_chunk(chunk, mapped.bytes()) ? wrong_chunk(chunk) : decoded;
            });
    }

    Result<> fill_copied(const Block& block, const Bytes& encoded) const {
        Bytes raw(block.raw_bytes());
        return decode_block_into(block, encoded, places_, raw).and_then([&] {
            return for_each_chunk(
                block, raw, [&](const ChunkRef& chunk, ByteSpan bytes) -> Result<> {
                    const auto place = filling_.offsets.find(chunk.key);
                    if (place == filling_.offsets.end()) {
                        return {};
                    }
                    if (!is_chunk(chunk, bytes)) {
                        return wrong_chunk(chunk);
                    }
                    return pwrite_all(file_.fd(), bytes, place->second, file_.path());
                });
        });
    }

    static tl::unexpected<Error> wrong_chunk(const ChunkRef& chunk) {
        return fail(Errc::verification_failed,
                    "decodes to other bytes than chunk " + to_hex(chunk.key.bytes) + "...");
    }

    const Filling& filling_;
    const ChunkPlaces& places_;
    const TemporaryFile& file_;
};

/// Blocks whose bases are all made by earlier rounds, round by round.
std::vector<std::vector<PlannedBlock>> rounds_of(const Filling& filling) {
    std::unordered_map<ChunkKey, std::size_t> made_in;
    std::vector<std::vector<PlannedBlock>> rounds;
    for (const auto& planned : filling.plan.blocks) {
        const auto& block = filling.block(planned);
        std::size_t round = 0;
        for (const auto& base : block.bases) {
            const auto made = made_in.find(base.key);
            round = std::max(round, made == made_in.end() ? 0 : made->second + 1);
        }
        for (const auto& chunk : block.chunks) {
            made_in.try_emplace(chunk.key, round);
        }
        rounds.resize(std::max(rounds.size(), round + 1));
        rounds[round].push_back(planned);
    }
    return rounds;
}

} // namespace

fs::path PackShelf::path(const PackId& pack) const {
    return repository_ / layout::pack_path(pack);
}

Result<const PackToc*> PackShelf::toc(const PackEntry& pack) {
    auto& slot = tocs_[pack.id];
    if (slot) {
        return slot.get();
    }
    const auto file = path(pack.id);
    return open_file(file, O_RDONLY)
        .and_then([&](const Fd& fd) -> Result<PackToc> {
            Bytes encoded(pack.toc_bytes);
            return pread_all(fd.get(), encoded, pack.toc_offset, file).and_then([&] {
                return decode_toc(encoded, pack.toc_offset, "pack " + file.string());
            });
        })
        .map([&](PackToc toc) -> const PackToc* {
            slot = std::make_unique<PackToc>(std::move(toc));
            return slot.get();
        });
}

Result<> ChunkVault::fill(std::span<const PackEntry> packs, const std::vector<ChunkRef>& wanted,
                          const std::stop_token& stop) {
    Filling filling;
    std::vector<PlanPack> plan_packs;
    for (const auto& pack : packs) {
        const auto toc = shelf_.toc(pack);
        if (!toc) {
            return tl::unexpected(toc.error());
        }
        filling.tocs.push_back(*toc);
        filling.packs.push_back(shelf_.path(pack.id));
        plan_packs.push_back({*toc});
    }
    std::vector<ChunkRef> missing;
    std::unordered_set<ChunkKey> available;
    for (const auto& chunk : wanted) {
        if (!places_.has(chunk.key)) {
            missing.push_back(chunk);
            filling.place(chunk, places_);
        }
    }
    if (missing.empty()) {
        return {};
    }
    auto plan = make_plan({missing, nullptr, nullptr, plan_packs});
    if (!plan) {
        return tl::unexpected(plan.error());
    }
    filling.plan = std::move(*plan);
    for (const auto& planned : filling.plan.blocks) {
        for (const auto& base : filling.block(planned).bases) {
            filling.place(base, places_);
        }
    }
    auto file = TemporaryFile::create(temporary_, "chunks");
    if (!file) {
        return tl::unexpected(file.error());
    }
    if (auto reserved = reserve(file->fd(), filling.bytes, file->path()); !reserved) {
        return reserved;
    }
    const auto number = places_.add_file(file->path());
    const auto& kept = files_.emplace_back(std::move(*file));
    const BlockFiller filler(filling, places_, kept);
    for (const auto& round : rounds_of(filling)) {
        OrderedWork<int> order;
        order.count = round.size();
        order.workers = worker_count();
        order.memory_bytes_max = decode_memory_bytes;
        order.memory = [&](std::size_t i) {
            const auto& block = filling.block(round[i]);
            return block.encoded_bytes + block.raw_bytes() + block.base_bytes();
        };
        order.work = [&](std::size_t i) { return filler.fill(round[i]).map([] { return 0; }); };
        order.held = [](int) { return std::uint64_t{0}; };
        order.take = [](std::size_t, int) { return Result<>{}; };
        if (auto done = run_in_order(order, stop); !done) {
            return done;
        }
        for (const auto& planned : round) {
            for (const auto& chunk : filling.block(planned).chunks) {
                if (const auto place = filling.offsets.find(chunk.key);
                    place != filling.offsets.end()) {
                    places_.add(chunk, number, place->second);
                }
            }
        }
    }
    return {};
}

} // namespace slipway
