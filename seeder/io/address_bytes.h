#pragma once

#include <cstdint>
#include <vector>

#include "common/io/asio.h"

namespace slipway::seeder {

/// 4 or 16 bytes in network order.
[[nodiscard]] inline std::vector<std::uint8_t> address_bytes(const net::ip::address& address) {
    if (address.is_v4()) {
        const auto bytes = address.to_v4().to_bytes();
        return {bytes.begin(), bytes.end()};
    }
    const auto bytes = address.to_v6().to_bytes();
    return {bytes.begin(), bytes.end()};
}

} // namespace slipway::seeder
