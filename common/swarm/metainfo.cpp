#include "common/swarm/metainfo.h"

#include <algorithm>
#include <cassert>

#include "common/core/errc.h"

namespace slipway::swarm {
namespace {

constexpr std::size_t digest_bytes = sizeof(Sha256Digest::bytes);

std::string bencoded(std::string_view text) {
    return std::to_string(text.size()) + ":" + std::string(text);
}

std::string bencoded(std::uint64_t value) {
    return "i" + std::to_string(value) + "e";
}

std::uint64_t piece_count(std::uint64_t pack_bytes) {
    const std::uint64_t piece_bytes = piece_bytes_for(pack_bytes);
    return pack_bytes / piece_bytes + (pack_bytes % piece_bytes != 0 ? 1 : 0);
}

// A file that fits one piece has no layer in the metainfo: its root is the piece's digest (BEP 52).
std::uint64_t layer_bytes(std::uint64_t pack_bytes) {
    const auto pieces = piece_count(pack_bytes);
    return pieces > 1 ? pieces * digest_bytes : 0;
}

// Keys are in the order that BEP 3 demands, here and in head().
std::string info_dictionary(const PackId& pack, std::string_view authority_pem) {
    const auto root = std::string(as_text(pack.root.bytes));
    const std::string file = "d" + bencoded("length") + bencoded(pack.bytes) +
                             bencoded("pieces root") + bencoded(root) + "e";
    const std::string tree = "d" + bencoded(pack.name()) + "d0:" + file + "ee";
    return "d" + bencoded("file tree") + tree + bencoded("meta version") + bencoded(2) +
           bencoded("name") + bencoded(pack.name()) + bencoded("piece length") +
           bencoded(piece_bytes_for(pack.bytes)) + bencoded("private") + bencoded(1) +
           (authority_pem.empty() ? "" : bencoded("ssl-cert") + bencoded(authority_pem)) + "e";
}

// What stands before the piece layer.
std::string head(const PackId& pack, std::string_view authority_pem = {}) {
    std::string out = "d" + bencoded("info") + info_dictionary(pack, authority_pem) +
                      bencoded("piece layers") + "d";
    if (layer_bytes(pack.bytes) > 0) {
        out += bencoded(as_text(pack.root.bytes)) + std::to_string(layer_bytes(pack.bytes)) + ":";
    }
    return out;
}

constexpr std::string_view tail = "ee";

} // namespace

Sha256Digest info_hash(const PackId& pack, std::string_view authority_pem) {
    return sha256(as_bytes(info_dictionary(pack, authority_pem)));
}

Bytes make_metainfo(const PiecesRoot& pack) {
    return make_metainfo({pack.root, pack.bytes}, pack.piece_layer, {});
}

Bytes make_metainfo(const PackId& pack, const std::vector<Sha256Digest>& layer,
                    std::string_view authority_pem) {
    assert(pack.bytes > 0 && layer.size() == piece_count(pack.bytes));
    const auto start = head(pack, authority_pem);
    Bytes out;
    out.reserve(start.size() + layer_bytes(pack.bytes) + tail.size());
    ByteWriter writer(out);
    writer.raw(as_bytes(start));
    if (layer.size() > 1) {
        for (const auto& digest : layer) {
            writer.raw(digest.bytes);
        }
    }
    writer.raw(as_bytes(tail));
    return out;
}

std::uint64_t metainfo_bytes_max(std::uint64_t pack_bytes) {
    assert(pack_bytes > 0);
    return head({Sha256Digest{}, pack_bytes}).size() + layer_bytes(pack_bytes) + tail.size();
}

Result<std::vector<Sha256Digest>> verify_metainfo(ByteSpan metainfo, const PackId& id,
                                                  std::string_view what) {
    const auto refuse = [&](std::string_view why) {
        return fail(Errc::verification_failed,
                    std::string(what) + ": " + std::string(why) + " of pack " + id.name());
    };
    if (id.bytes == 0) {
        return refuse("there is no empty pack, but that is the length");
    }
    const auto start = head(id);
    const auto layer_size = layer_bytes(id.bytes);
    if (metainfo.size() != start.size() + layer_size + tail.size()) {
        return refuse("the length is not that of the metainfo");
    }
    if (!std::ranges::equal(metainfo.first(start.size()), as_bytes(start)) ||
        !std::ranges::equal(metainfo.last(tail.size()), as_bytes(tail))) {
        return refuse("this is not the metainfo");
    }
    if (layer_size == 0) {
        return std::vector{id.root};
    }
    std::vector<Sha256Digest> layer(layer_size / digest_bytes);
    for (std::size_t i = 0; i < layer.size(); ++i) {
        std::ranges::copy(metainfo.subspan(start.size() + i * digest_bytes, digest_bytes),
                          layer[i].bytes.begin());
    }
    if (!piece_layer_matches(layer, piece_bytes_for(id.bytes), id.root)) {
        return refuse("the piece layer does not have the root");
    }
    return layer;
}

} // namespace slipway::swarm
