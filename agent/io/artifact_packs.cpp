#include "agent/io/artifact_packs.h"

#include <fcntl.h>

#include "common/core/errc.h"
#include "common/delta/codec.h"

namespace slipway::agent {
namespace {

// Whoever fetches may be another, less trusted process: no symlink leads elsewhere, no pipe waits.
constexpr int pack_flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;

} // namespace

ArtifactPacks::ArtifactPacks(const PackMap& map, PackSource& source, const HostLayout& host,
                             std::vector<Sha256Digest> have)
    : map_(map), source_(source), host_(host), rounds_(toc_rounds(map, have)) {}

Result<PackToc> ArtifactPacks::read_toc(const PackEntry& entry) const {
    const auto file = host_.pack(entry.id);
    Bytes encoded(entry.toc_bytes);
    return open_file(file, pack_flags)
        .and_then(
            [&](const Fd& fd) { return pread_all(fd.get(), encoded, entry.toc_offset, file); })
        .and_then([&] {
            return decode_toc(encoded, entry.toc_offset,
                              "table of contents of pack " + entry.id.name());
        });
}

Result<> ArtifactPacks::load_next_round(std::stop_token stop) {
    std::vector<PackRequest> requests;
    const auto& round = rounds_[next_round_];
    for (const auto number : round) {
        const auto& entry = map_.packs[number];
        if (entry.toc_bytes > toc_encoded_bytes_max) {
            return fail(Errc::verification_failed,
                        "table of contents of pack " + entry.id.name() + " is too long");
        }
        requests.push_back({entry.id, {{entry.toc_offset, entry.toc_bytes}}});
    }
    if (auto fetched = source_.fetch(requests, std::move(stop)); !fetched) {
        return fetched;
    }
    for (const auto number : round) {
        auto toc = read_toc(map_.packs[number]);
        if (!toc) {
            return tl::unexpected(std::move(toc.error()));
        }
        packs_.push_back({&map_.packs[number], std::move(*toc), std::nullopt});
    }
    ++next_round_;
    return {};
}

Result<Plan> ArtifactPacks::plan(std::span<const ChunkRef> wanted,
                                 const InstalledContent& installed, std::stop_token stop) {
    if (wanted.empty()) {
        return Plan{};
    }
    for (;;) {
        std::vector<PlanPack> packs;
        packs.reserve(packs_.size());
        for (const auto& pack : packs_) {
            packs.push_back({&pack.toc});
        }
        PlanInput input;
        input.wanted = wanted;
        input.available = &installed.chunks();
        input.distrusted = &installed.distrusted();
        input.packs = packs;
        auto made = make_plan(input);
        const bool more = next_round_ < rounds_.size();
        if (made || made.error().code != Errc::not_found || !more) {
            return made;
        }
        if (auto loaded = load_next_round(stop); !loaded) {
            return tl::unexpected(std::move(loaded.error()));
        }
    }
}

std::vector<PackRequest> ArtifactPacks::requests_for(const Plan& plan) const {
    std::vector<const PackToc*> tocs;
    tocs.reserve(packs_.size());
    for (const auto& pack : packs_) {
        tocs.push_back(&pack.toc);
    }
    auto ranges = ranges_of(plan, tocs);
    std::vector<PackRequest> requests;
    for (std::size_t i = 0; i < packs_.size(); ++i) {
        if (!ranges[i].empty()) {
            requests.push_back({packs_[i].entry->id, std::move(ranges[i])});
        }
    }
    return requests;
}

Result<std::uint64_t> ArtifactPacks::missing_bytes(const Plan& plan, std::stop_token stop) {
    return source_.missing(requests_for(plan), std::move(stop)).map([](const auto& missing) {
        std::uint64_t bytes = 0;
        for (const auto& ranges : missing) {
            bytes += total_bytes(ranges);
        }
        return bytes;
    });
}

Result<> ArtifactPacks::fetch(const Plan& plan, std::stop_token stop) {
    const auto requests = requests_for(plan);
    return requests.empty() ? Result<>{} : source_.fetch(requests, std::move(stop));
}

Result<std::vector<PackBytes>> ArtifactPacks::bytes() {
    std::vector<PackBytes> all;
    for (auto& pack : packs_) {
        const auto file = host_.pack(pack.entry->id);
        if (!pack.mapping) {
            auto mapping = open_file(file, pack_flags).and_then([&](const Fd& fd) {
                return MappedFile::map(fd.get(), 0, 0, false, file);
            });
            if (!mapping) {
                return tl::unexpected(std::move(mapping.error()));
            }
            pack.mapping = std::move(*mapping);
        }
        all.push_back({&pack.toc, pack.mapping->bytes(), pack.entry->id.name(), true});
    }
    return all;
}

Result<Bytes> ArtifactPacks::get_chunk(const Sha256Digest& digest, std::uint64_t bytes,
                                       InstalledContent& installed, std::stop_token stop) {
    const ChunkRef wanted{ChunkKey::of(digest), bytes};
    for (;;) {
        if (const auto place = installed.find_chunk(wanted.key)) {
            auto mapping = place->map();
            if (mapping && sha256(mapping->bytes()) == digest) {
                return Bytes(mapping->bytes().begin(), mapping->bytes().end());
            }
            installed.distrust(wanted.key);
        }
        auto planned = plan({&wanted, 1}, installed, stop);
        if (!planned) {
            return tl::unexpected(std::move(planned.error()));
        }
        if (auto fetched = fetch(*planned, stop); !fetched) {
            return tl::unexpected(std::move(fetched.error()));
        }
        auto decoded = decode_chunk(*planned, digest, installed);
        if (!decoded) {
            return tl::unexpected(std::move(decoded.error()));
        }
        if (*decoded) {
            return std::move(**decoded);
        }
    }
}

// Nothing if a base was distrusted.
Result<std::optional<Bytes>> ArtifactPacks::decode_chunk(const Plan& plan,
                                                         const Sha256Digest& digest,
                                                         InstalledContent& installed) {
    auto packs = bytes();
    if (!packs) {
        return tl::unexpected(std::move(packs.error()));
    }
    std::unordered_map<ChunkKey, Bytes> made;
    for (const auto& [number, block_number] : plan.blocks) {
        const auto& pack = (*packs)[number];
        const auto& block = pack.toc->blocks[block_number];
        Bytes bases;
        for (const auto& base : block.bases) {
            const auto earlier = made.find(base.key);
            if (earlier != made.end()) {
                bases.insert(bases.end(), earlier->second.begin(), earlier->second.end());
                continue;
            }
            const auto place = installed.find_chunk(base.key);
            const auto mapping = place ? place->map() : fail(Errc::not_found, "base");
            if (!mapping || ChunkKey::of(sha256(mapping->bytes())) != base.key) {
                installed.distrust(base.key);
                return std::nullopt;
            }
            bases.insert(bases.end(), mapping->bytes().begin(), mapping->bytes().end());
        }
        std::uint64_t length = 0;
        for (const auto& chunk : block.chunks) {
            length += chunk.bytes;
        }
        Bytes out(length);
        const auto what = "pack " + pack.name + ", block at byte " + std::to_string(block.offset);
        if (block.offset + block.encoded_bytes > pack.bytes.size()) {
            return fail(Errc::verification_failed, what + ": beyond the end");
        }
        auto decoded = decode_block(
            block.codec, pack.bytes.subspan(block.offset, block.encoded_bytes), bases, out);
        if (!decoded) {
            return tl::unexpected(within(what, std::move(decoded.error())));
        }
        std::size_t offset = 0;
        for (const auto& chunk : block.chunks) {
            const auto bytes = ByteSpan(out).subspan(offset, chunk.bytes);
            offset += chunk.bytes;
            made.try_emplace(chunk.key, bytes.begin(), bytes.end());
        }
    }
    auto found = made.find(ChunkKey::of(digest));
    if (found == made.end() || sha256(found->second) != digest) {
        return fail(Errc::verification_failed, "the file index in the packs is not the manifest's");
    }
    return std::optional(std::move(found->second));
}

} // namespace slipway::agent
