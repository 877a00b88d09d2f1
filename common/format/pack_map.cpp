#include "common/format/pack.h"

#include <algorithm>
#include <cassert>
#include <set>

#include "common/core/errc.h"
#include "common/core/names.h"

namespace slipway {
namespace {

constexpr std::string_view map_magic = "SLIPMAP1";
// 2^21 pieces of 4 MiB: as many as libtorrent takes, and a metainfo of 64 MiB.
constexpr std::uint64_t pack_bytes_max = 1ULL << 43U;
constexpr std::uint64_t version_bytes_max = 64;

void write_version(ByteWriter& out, const std::string& version) {
    out.varint(version.size());
    out.raw(as_bytes(version));
}

Result<std::string> read_version(ByteReader& in) {
    const auto text = in.varint(version_bytes_max, "a version's length").and_then([&](auto length) {
        return in.raw(length, "a version");
    });
    if (!text) {
        return tl::unexpected(text.error());
    }
    auto version = parse_version(as_text(*text));
    if (!version) {
        return in.malformed("not a version");
    }
    return version;
}

Result<Sha256Digest> read_digest(ByteReader& in) {
    return in.raw(sizeof(Sha256Digest), "a digest").map([](ByteSpan bytes) {
        Sha256Digest digest;
        std::ranges::copy(bytes, digest.bytes.begin());
        return digest;
    });
}

Result<> read_place(ByteReader& in, PackEntry& entry) {
    auto root = read_digest(in);
    if (!root) {
        return tl::unexpected(root.error());
    }
    entry.id.root = *root;
    const auto bytes = in.varint(pack_bytes_max, "a pack's length");
    const auto toc_bytes = in.varint(toc_encoded_bytes_max, "a table of contents' length");
    if (!bytes || !toc_bytes) {
        return tl::unexpected(bytes ? toc_bytes.error() : bytes.error());
    }
    if (*toc_bytes == 0 || *bytes < pack_magic.size() || *toc_bytes > *bytes - pack_magic.size()) {
        return in.malformed("a table of contents that does not fit its pack");
    }
    entry.id.bytes = *bytes;
    entry.toc_bytes = *toc_bytes;
    entry.toc_offset = *bytes - *toc_bytes;
    return {};
}

Result<> read_ends(ByteReader& in, PackEntry& entry) {
    const auto take = [&](Sha256Digest& digest, std::string& version) {
        return read_digest(in)
            .and_then([&](const Sha256Digest& value) {
                digest = value;
                return read_version(in);
            })
            .map([&](std::string value) { version = std::move(value); });
    };
    return take(entry.to, entry.to_version).and_then([&] {
        return entry.role == PackRole::base ? Result<>{} : take(entry.from, entry.from_version);
    });
}

Result<PackEntry> read_entry(ByteReader& in) {
    PackEntry entry;
    if (auto place = read_place(in, entry); !place) {
        return tl::unexpected(place.error());
    }
    const auto role = in.u8();
    if (!role) {
        return tl::unexpected(role.error());
    }
    if (*role != 1 && *role != 2) {
        return in.malformed("unknown role of a pack");
    }
    entry.role = static_cast<PackRole>(*role);
    if (auto ends = read_ends(in, entry); !ends) {
        return tl::unexpected(ends.error());
    }
    return entry;
}

} // namespace

Bytes encode_pack_map(const PackMap& map) {
    assert(map.packs.size() <= pack_map_packs_max);
    Bytes bytes;
    ByteWriter out(bytes);
    out.raw(as_bytes(map_magic));
    out.raw(map.manifest.bytes);
    out.varint(map.packs.size());
    for (const auto& pack : map.packs) {
        assert(pack.toc_offset + pack.toc_bytes == pack.id.bytes);
        out.raw(pack.id.root.bytes);
        out.varint(pack.id.bytes);
        out.varint(pack.toc_bytes);
        out.u8(static_cast<std::uint8_t>(pack.role));
        out.raw(pack.to.bytes);
        write_version(out, pack.to_version);
        if (pack.role == PackRole::patch) {
            out.raw(pack.from.bytes);
            write_version(out, pack.from_version);
        }
    }
    return bytes;
}

Result<PackMap> decode_pack_map(ByteSpan bytes, std::string_view what) {
    ByteReader in(bytes, std::string(what));
    if (bytes.size() > pack_map_bytes_max) {
        return in.malformed("longer than a pack map can be");
    }
    const auto magic = in.raw(map_magic.size(), "the magic");
    if (!magic || as_text(*magic) != map_magic) {
        return in.malformed("not a pack map of version 1");
    }
    const auto manifest = read_digest(in);
    const auto count = in.varint(pack_map_packs_max, "the number of packs");
    if (!manifest || !count) {
        return tl::unexpected(manifest ? count.error() : manifest.error());
    }
    PackMap map;
    map.manifest = *manifest;
    std::set<Sha256Digest> seen;
    for (std::uint64_t i = 0; i < *count; ++i) {
        auto entry = read_entry(in);
        if (!entry) {
            return tl::unexpected(entry.error());
        }
        if (!seen.insert(entry->id.root).second) {
            return in.malformed("a pack twice");
        }
        if (!map.packs.empty() && entry->role < map.packs.back().role) {
            return in.malformed("a base pack after a patch pack");
        }
        map.packs.push_back(std::move(*entry));
    }
    if (!in.at_end()) {
        return in.malformed("bytes after the end");
    }
    return map;
}

} // namespace slipway
