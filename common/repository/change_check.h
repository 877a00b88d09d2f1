#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "common/core/bytes.h"

namespace slipway {

/// A 64-bit sum that tells whether a file reads the same a second time, at memory speed. It guards
/// against changes while a tree is published, not against forgery: chunks are named by SHA-256.
/// Pieces must be multiples of 32 bytes, but for the last.
class ChangeCheck {
public:
    void update(ByteSpan bytes) {
        std::size_t at = 0;
        for (; at + block <= bytes.size(); at += block) {
            mix(bytes.data() + at);
        }
        if (at < bytes.size()) {
            std::array<std::uint8_t, block> rest{};
            std::memcpy(rest.data(), bytes.data() + at, bytes.size() - at);
            mix(rest.data());
        }
        bytes_ += bytes.size();
    }
    /// The sum of all bytes since construction or the last finish().
    [[nodiscard]] std::uint64_t finish() {
        std::uint64_t sum = bytes_;
        for (const auto lane : lanes_) {
            sum = (std::rotl(sum, 27) ^ lane ^ (lane >> 31U)) * odd_factor;
        }
        *this = ChangeCheck{};
        return sum;
    }

private:
    static constexpr std::size_t block = 32;
    // Any large odd number with bits all over will do.
    static constexpr std::uint64_t odd_factor = 0x9e3779b97f4a7c15;

    void mix(const std::uint8_t* from) {
        for (std::size_t i = 0; i < lanes_.size(); ++i) {
            std::uint64_t word = 0;
            std::memcpy(&word, from + 8 * i, sizeof word);
            lanes_[i] = std::rotl((lanes_[i] ^ word) * odd_factor, 29);
        }
    }

    std::array<std::uint64_t, 4> lanes_{1, 2, 3, 4};
    std::uint64_t bytes_ = 0;
};

} // namespace slipway
