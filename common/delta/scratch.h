#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/core/bytes.h"

namespace slipway {

/// Room for output whose length is not known before: pages cost memory only once they are written,
/// and go back to the system while the result is taken, so that the peak is the result's length.
/// (A Bytes of the bound would be zeroed first, and be resident as a whole.)
class Scratch {
public:
    /// Throws std::bad_alloc when the address space is not to be had.
    explicit Scratch(std::size_t bytes);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    [[nodiscard]] std::span<std::uint8_t> bytes() { return {data_, size_}; }
    /// The first `count` bytes. What the scratch holds afterwards is unspecified.
    [[nodiscard]] Bytes take(std::size_t count);

private:
    std::uint8_t* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace slipway
