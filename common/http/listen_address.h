#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/core/result.h"

namespace slipway::http {

/// "HOST:PORT" or "[V6]:PORT", numeric.
struct ListenAddress {
    std::string ip;
    std::uint16_t port = 0;
    bool loopback = false;
};
/// Error: Errc::usage, with an example.
[[nodiscard]] Result<ListenAddress> parse_listen_address(std::string_view text);
/// The same for "IP:PORT" in a URL: IPv6 in brackets.
[[nodiscard]] std::string host_port(const std::string& ip, std::uint16_t port);

} // namespace slipway::http
