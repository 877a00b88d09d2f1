#include "agent/io/block_decoder.h"

#include <fcntl.h>
#include <memory>
#include <sys/mman.h>

#include "common/core/errc.h"
#include "common/delta/codec.h"
#include "common/io/parallel.h"

namespace slipway::agent {
namespace {

std::uint64_t decoded_length(const Block& block) {
    std::uint64_t bytes = 0;
    for (const auto& chunk : block.chunks) {
        bytes += chunk.bytes;
    }
    return bytes;
}

// So much of packs is read before the memory of their mappings is given back.
constexpr std::uint64_t resident_bytes = 16ULL * 1024 * 1024;

std::string chunk_name(const ChunkRef& chunk) {
    return "chunk " + to_hex(chunk.key.bytes);
}

// A worker's buffer, kept from block to block and not cleared.
std::span<std::uint8_t> worker_buffer(std::size_t bytes) {
    thread_local std::unique_ptr<std::uint8_t[]> buffer; // NOLINT(*-avoid-c-arrays)
    thread_local std::size_t capacity = 0;
    if (capacity < bytes) {
        buffer = std::make_unique_for_overwrite<std::uint8_t[]>(bytes); // NOLINT(*-avoid-c-arrays)
        capacity = bytes;
    }
    return {buffer.get(), bytes};
}

// The bases of a block, one after the other: one alone is used where it is mapped.
class Bases {
public:
    Result<> add(const ChunkPlace& place) {
        return place.map().map(
            [&](MappedFile mapping) { mappings_.push_back(std::move(mapping)); });
    }
    ByteSpan joined() {
        if (mappings_.size() == 1) {
            return mappings_.front().bytes();
        }
        for (const auto& mapping : mappings_) {
            const auto bytes = mapping.bytes();
            joined_.insert(joined_.end(), bytes.begin(), bytes.end());
        }
        return joined_;
    }

private:
    std::vector<MappedFile> mappings_;
    Bytes joined_;
};

} // namespace

BlockDecoder::BlockDecoder(TreeBuilder& builder, InstalledContent& installed,
                           std::filesystem::path scratch)
    : builder_(builder), installed_(installed), scratch_(std::move(scratch)) {}

Result<bool> BlockDecoder::decode(const Plan& plan, std::span<const PackBytes> packs,
                                  std::stop_token stop) {
    std::vector<const PackToc*> tocs;
    for (const auto& pack : packs) {
        tocs.push_back(pack.toc);
    }
    packs_ = packs;
    bases_.clear();
    for (const auto& [pack, block] : plan.blocks) {
        for (const auto& base : tocs[pack]->blocks[block].bases) {
            bases_.insert(base.key);
        }
    }
    for (const auto& wave : decode_waves(plan, tocs)) {
        auto done = parallel_for(wave.size(), worker_count(), stop, [&](std::size_t i) {
            const auto& pack = packs[wave[i].pack];
            const auto& block = pack.toc->blocks[wave[i].block];
            auto ran = run({pack, block});
            give_back(block.encoded_bytes);
            return ran;
        });
        if (!done) {
            return tl::unexpected(std::move(done.error()));
        }
    }
    for (const auto& key : corrupt_) {
        installed_.distrust(key);
    }
    return std::exchange(corrupt_, {}).empty();
}

// All of each mapping, not the blocks: the kernel maps the cached pages around what is read as
// well, in pieces as large as its cache has them. What another worker reads is mapped again at
// once.
void BlockDecoder::give_back(std::uint64_t read_bytes) {
    read_bytes_ += read_bytes;
    if (read_bytes_ < resident_bytes) {
        return;
    }
    read_bytes_ = 0;
    for (const auto& pack : packs_) {
        if (pack.is_mapped && !pack.bytes.empty()) {
            // Of no importance if it fails: the memory is the system's to take back anyway.
            ::madvise(const_cast<std::uint8_t*>(pack.bytes.data()), // NOLINT(*-const-cast)
                      pack.bytes.size(), MADV_DONTNEED);
        }
    }
}

std::optional<ChunkPlace> BlockDecoder::find(const ChunkKey& key) const {
    {
        const std::scoped_lock lock(mutex_);
        if (const auto kept = kept_.find(key); kept != kept_.end()) {
            return kept->second;
        }
    }
    if (auto place = installed_.find_chunk(key)) {
        return place;
    }
    return builder_.place_of(key);
}

Result<> BlockDecoder::run(const Job& job) {
    const auto& block = job.block;
    if (block.offset + block.encoded_bytes > job.pack.bytes.size()) {
        return fail(Errc::verification_failed, "pack " + job.pack.name + " is too short");
    }
    Bases bases;
    for (const auto& base : block.bases) {
        const auto place = find(base.key);
        const auto added = place ? bases.add(*place) : fail(Errc::not_found, "base");
        if (!added) {
            return blame(job, Error{added.error().code, "a base cannot be read"});
        }
    }
    const auto joined = bases.joined();
    std::uint64_t base_bytes = 0;
    for (const auto& base : block.bases) {
        base_bytes += base.bytes;
    }
    if (joined.size() != base_bytes) {
        return blame(job, Error{Errc::verification_failed, "a base has another length"});
    }
    const bool large = block.chunks.size() == 1 && block.chunks[0].bytes > solid_block_bytes_max;
    return large ? decode_large(job, joined) : decode_small(job, joined);
}

Result<> BlockDecoder::decode_large(const Job& job, ByteSpan base) {
    const auto& chunk = job.block.chunks.front();
    auto target = builder_.open_target(chunk.key);
    if (!target) {
        return tl::unexpected(std::move(target.error()));
    }
    if (!*target || (*target)->bytes != chunk.bytes) { // Only a base, or only in small files.
        return decode_small(job, base);
    }
    const auto encoded = job.pack.bytes.subspan(job.block.offset, job.block.encoded_bytes);
    return base.empty() && decodes_in_pieces(job.block.codec, encoded)
               ? decode_in_pieces_to(job, encoded, **target)
               : decode_mapped_to(job, encoded, base, **target);
}

// Each piece is hashed and written while the processor's cache has it.
Result<> BlockDecoder::decode_in_pieces_to(const Job& job, ByteSpan encoded,
                                           const ChunkTarget& target) {
    const auto& chunk = job.block.chunks.front();
    Sha256 hash;
    auto offset = target.offset;
    Result<> written;
    auto decoded =
        slipway::decode_in_pieces(job.block.codec, encoded, chunk.bytes, [&](ByteSpan piece) {
            hash.update(piece);
            written = pwrite_all(target.fd.get(), piece, offset, chunk_name(chunk));
            offset += piece.size();
            give_back(piece.size());
            return written;
        });
    if (!decoded) {
        return written ? blame(job, decoded.error()) : written;
    }
    return use_target(job, target, hash.finish());
}

Result<> BlockDecoder::decode_mapped_to(const Job& job, ByteSpan encoded, ByteSpan base,
                                        const ChunkTarget& target) {
    // A write to a mapped hole of a full disk is SIGBUS, so the blocks must be there.
    if (::fallocate(target.fd.get(), 0, static_cast<off_t>(target.offset),
                    static_cast<off_t>(target.bytes)) != 0) {
        return decode_small(job, base);
    }
    Sha256Digest digest;
    {
        auto mapping = MappedFile::map(target.fd.get(), target.offset, target.bytes, true,
                                       chunk_name(job.block.chunks.front()));
        if (!mapping) {
            return tl::unexpected(std::move(mapping.error()));
        }
        const auto out = mapping->writable_bytes();
        if (auto decoded = decode_block(job.block.codec, encoded, base, out); !decoded) {
            return blame(job, decoded.error());
        }
        digest = sha256(out);
    } // Writing mapped pages to the disk would interrupt every processor for each of them.
    return use_target(job, target, digest);
}

Result<> BlockDecoder::use_target(const Job& job, const ChunkTarget& target,
                                  const Sha256Digest& digest) {
    if (ChunkKey::of(digest) != job.block.chunks.front().key) {
        return blame(job, Error{Errc::verification_failed, "it does not decode to its chunk"});
    }
    {
        const std::scoped_lock lock(mutex_);
        decoded_bytes_ += target.bytes;
    }
    return builder_.place_written(target, digest);
}

Result<> BlockDecoder::decode_small(const Job& job, ByteSpan base) {
    const auto encoded = job.pack.bytes.subspan(job.block.offset, job.block.encoded_bytes);
    const auto out = worker_buffer(decoded_length(job.block));
    if (auto decoded = decode_block(job.block.codec, encoded, base, out); !decoded) {
        return blame(job, decoded.error());
    }
    std::size_t offset = 0;
    for (const auto& chunk : job.block.chunks) {
        if (auto used = use_chunk(job, chunk, out.subspan(offset, chunk.bytes)); !used) {
            return used;
        }
        offset += chunk.bytes;
    }
    return {};
}

Result<> BlockDecoder::use_chunk(const Job& job, const ChunkRef& chunk, ByteSpan bytes) {
    const bool missing = builder_.is_missing(chunk.key);
    const bool is_base = bases_.contains(chunk.key) && !find(chunk.key);
    if (!missing && !is_base) {
        return {}; // Came along in a block of several.
    }
    const auto digest = sha256(bytes);
    if (ChunkKey::of(digest) != chunk.key) {
        return blame(job, Error{Errc::verification_failed, "it does not decode to its chunk"});
    }
    {
        const std::scoped_lock lock(mutex_);
        decoded_bytes_ += bytes.size();
    }
    if (missing) {
        return builder_.place_chunk(digest, bytes);
    }
    return keep_as_base(chunk.key, bytes);
}

Result<> BlockDecoder::keep_as_base(const ChunkKey& key, ByteSpan bytes) {
    const auto file = temporary_name(scratch_, to_hex(key.bytes));
    return open_file(file, O_WRONLY | O_CREAT | O_EXCL)
        .and_then([&](const Fd& fd) { return write_all(fd.get(), bytes, file); })
        .map([&] {
            const std::scoped_lock lock(mutex_);
            kept_.try_emplace(key, ChunkPlace{file, 0, bytes.size()});
        });
}

Result<> BlockDecoder::blame(const Job& job, const Error& why) {
    bool base_is_bad = false;
    for (const auto& base : job.block.bases) {
        const auto place = find(base.key);
        const auto bytes = place ? place->map() : fail(Errc::not_found, "base");
        if (bytes && ChunkKey::of(sha256(bytes->bytes())) == base.key) {
            continue;
        }
        base_is_bad = true;
        const std::scoped_lock lock(mutex_);
        corrupt_.push_back(base.key);
    }
    if (base_is_bad) {
        return {};
    }
    return fail(Errc::verification_failed, "pack " + job.pack.name + ", block at byte " +
                                               std::to_string(job.block.offset) + ": " +
                                               why.context);
}

} // namespace slipway::agent
