#include "common/core/merkle.h"

#include <algorithm>
#include <cassert>

namespace slipway {
namespace {

Sha256Digest parent_of(const Sha256Digest& left, const Sha256Digest& right) {
    std::array<std::uint8_t, 64> both{};
    std::ranges::copy(left.bytes, both.begin());
    std::ranges::copy(right.bytes, both.begin() + 32);
    return sha256(both);
}

// BEP 52: a leaf beyond the end of the file is 32 zero bytes, so a subtree of such leaves has a
// root of its own at each height.
Sha256Digest pad_for(std::uint64_t piece_bytes) {
    Sha256Digest pad;
    for (auto covered = merkle_leaf_bytes; covered < piece_bytes; covered *= 2) {
        pad = parent_of(pad, pad);
    }
    return pad;
}

} // namespace

Sha256Digest merkle_root(std::vector<Sha256Digest> layer, Sha256Digest pad) {
    assert(!layer.empty());
    while (layer.size() > 1) {
        if (layer.size() % 2 != 0) {
            layer.push_back(pad);
        }
        for (std::size_t i = 0; i < layer.size() / 2; ++i) {
            layer[i] = parent_of(layer[2 * i], layer[2 * i + 1]);
        }
        layer.resize(layer.size() / 2);
        pad = parent_of(pad, pad);
    }
    return layer.front();
}

std::uint32_t piece_bytes_for(std::uint64_t pack_bytes) {
    constexpr std::uint64_t mib = 1024ULL * 1024;
    if (pack_bytes <= 8 * mib) {
        return 16U * 1024;
    }
    if (pack_bytes <= 128 * mib) {
        return 64U * 1024;
    }
    if (pack_bytes <= 1024ULL * mib) {
        return 256U * 1024;
    }
    return pack_bytes <= 8ULL * 1024 * mib ? 1024U * 1024 : 4U * 1024 * 1024;
}

void MerkleBuilder::update(ByteSpan bytes) {
    while (!bytes.empty()) {
        const auto room = merkle_leaf_bytes - bytes_ % merkle_leaf_bytes;
        const auto now = bytes.first(std::min<std::size_t>(room, bytes.size()));
        hash_.update(now);
        bytes_ += now.size();
        bytes = bytes.subspan(now.size());
        if (bytes_ % merkle_leaf_bytes == 0) {
            leaves_.push_back(hash_.finish());
        }
    }
}

PiecesRoot MerkleBuilder::finish() {
    assert(bytes_ > 0);
    if (bytes_ % merkle_leaf_bytes != 0) {
        leaves_.push_back(hash_.finish());
    }
    PiecesRoot result;
    result.bytes = bytes_;
    const std::uint64_t piece_bytes = piece_bytes_for(bytes_);
    if (bytes_ <= piece_bytes) {
        result.root = merkle_root(std::move(leaves_), Sha256Digest{});
        result.piece_layer = {result.root};
    } else {
        const std::size_t leaves_a_piece = piece_bytes / merkle_leaf_bytes;
        leaves_.resize((leaves_.size() + leaves_a_piece - 1) / leaves_a_piece * leaves_a_piece);
        for (std::size_t i = 0; i < leaves_.size(); i += leaves_a_piece) {
            const auto first = leaves_.begin() + static_cast<std::ptrdiff_t>(i);
            result.piece_layer.push_back(merkle_root(
                {first, first + static_cast<std::ptrdiff_t>(leaves_a_piece)}, Sha256Digest{}));
        }
        result.root = merkle_root(result.piece_layer, pad_for(piece_bytes));
    }
    *this = MerkleBuilder{};
    return result;
}

bool piece_layer_matches(const std::vector<Sha256Digest>& layer, std::uint32_t piece_bytes,
                         const Sha256Digest& root) {
    return !layer.empty() && merkle_root(layer, pad_for(piece_bytes)) == root;
}

} // namespace slipway
