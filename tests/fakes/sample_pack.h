#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "common/swarm/metainfo.h"
#include "tests/fakes/temporary_directory.h"

namespace slipway::fakes {

/// Incompressible bytes that are the same in every run.
inline Bytes noise(std::uint64_t bytes, std::uint32_t seed = 1) {
    Bytes data(bytes);
    std::uint32_t state = seed;
    for (auto& byte : data) {
        state = state * 1664525U + 1013904223U;
        byte = static_cast<std::uint8_t>(state >> 24U);
    }
    return data;
}

/// A pack of noise: what a publisher would have written. The swarm never looks inside packs.
struct SamplePack {
    explicit SamplePack(std::uint64_t bytes, std::uint32_t seed = 1) : data(noise(bytes, seed)) {
        MerkleBuilder builder;
        builder.update(data);
        tree = builder.finish();
        id = {tree.root, tree.bytes};
        metainfo = swarm::make_metainfo(tree);
    }
    Bytes data;
    PiecesRoot tree;
    PackId id;
    Bytes metainfo;
};

inline void write_whole(const std::filesystem::path& file, ByteSpan bytes) {
    std::ofstream out(file, std::ios::binary);
    const auto text = as_text(bytes);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
}

inline Bytes read_whole(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    Bytes bytes(std::filesystem::file_size(file));
    in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return bytes;
}

} // namespace slipway::fakes
