#pragma once

#include <string>
#include <string_view>

#include "common/core/merkle.h"
#include "common/format/pack.h"

namespace slipway::swarm {

/// The BitTorrent v2 metainfo of a pack (BEP 52): one file, named by its pieces root, private, no
/// trackers. A function of the pack alone, so that every repository gives it one info-hash.
[[nodiscard]] Bytes make_metainfo(const PiecesRoot& pack);

/// The same with a fleet's authority in the info dictionary ("ssl-cert"): what makes it an SSL
/// torrent, with an info-hash of its own for each authority. From a layer that was verified;
/// nothing is hashed again. `authority_pem` is an authority's certificate as Membership gives it.
[[nodiscard]] Bytes make_metainfo(const PackId& pack, const std::vector<Sha256Digest>& layer,
                                  std::string_view authority_pem);

/// SHA-256 of the info dictionary (BEP 52). Its first 20 bytes are the swarm's address on the wire.
/// Empty `authority_pem`: the plain swarm.
[[nodiscard]] Sha256Digest info_hash(const PackId& pack, std::string_view authority_pem = {});

/// Upper bound of the metainfo's length, known before it is fetched.
[[nodiscard]] std::uint64_t metainfo_bytes_max(std::uint64_t pack_bytes);

/// Checks untrusted metainfo against the signed pack address: it must be, byte for byte, what
/// make_metainfo() gives for this pack and its piece layer, whose root is checked. Gives the layer.
[[nodiscard]] Result<std::vector<Sha256Digest>> verify_metainfo(ByteSpan metainfo, const PackId& id,
                                                                std::string_view what);

} // namespace slipway::swarm
