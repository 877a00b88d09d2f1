#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include "common/core/bytes.h"

namespace slipway::samples {

/// Bytes that no codec can shorten.
inline Bytes noise(std::size_t count, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Bytes bytes(count);
    for (auto& byte : bytes) {
        byte = static_cast<std::uint8_t>(random());
    }
    return bytes;
}

/// Text of repeated words in random order: compresses about as source code does.
inline Bytes text(std::size_t count, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Bytes bytes;
    while (bytes.size() < count) {
        const auto word = "word" + std::to_string(random() % 5000) + (random() % 9 ? " " : "\n");
        bytes.insert(bytes.end(), word.begin(), word.end());
    }
    bytes.resize(count);
    return bytes;
}

/// `bytes` as a compiler would change it: every some bytes a small number differs, and a few
/// stretches are inserted or gone.
inline Bytes recompiled(const Bytes& bytes, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Bytes result;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const auto dice = random() % 20'000;
        if (dice == 0) {
            const auto inserted = noise(1 + random() % 300, random());
            result.insert(result.end(), inserted.begin(), inserted.end());
        } else if (dice == 1) {
            i += random() % 300;
        } else {
            result.push_back(static_cast<std::uint8_t>(i % 40 == 7 ? bytes[i] + 3 : bytes[i]));
        }
    }
    return result;
}

} // namespace slipway::samples
