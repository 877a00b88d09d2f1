#pragma once

#include <cstdint>

namespace slipway::sim {

/// SplitMix64: the same numbers everywhere from a seed.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }
    std::uint64_t below(std::uint64_t end) { return next() % end; }
    /// True `times` in 10 000.
    bool chance(std::uint64_t times) { return below(10'000) < times; }

private:
    std::uint64_t state_;
};

} // namespace slipway::sim
