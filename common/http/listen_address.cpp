#include "common/http/listen_address.h"

#include <array>

#include <arpa/inet.h>

#include "common/core/errc.h"
#include "common/core/numbers.h"

namespace slipway::http {

Result<ListenAddress> parse_listen_address(std::string_view text) {
    const auto refused = [&] {
        return fail(Errc::usage, "'" + std::string(text.substr(0, 100)) +
                                     "' is not HOST:PORT with a numeric address, for example "
                                     "127.0.0.1:7070, 0.0.0.0:7070 or [::1]:7070");
    };
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return refused();
    }
    auto host = std::string(text.substr(0, colon));
    const auto port = parse_number<std::uint64_t>(text.substr(colon + 1));
    if (host == "localhost") {
        host = "127.0.0.1";
    }
    const bool v6 = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (v6) {
        host = host.substr(1, host.size() - 2);
    }
    std::array<std::uint8_t, 16> address{};
    if (!port || *port > 65535 ||
        ::inet_pton(v6 ? AF_INET6 : AF_INET, host.c_str(), address.data()) != 1) {
        return refused();
    }
    std::array<std::uint8_t, 16> v6_loopback{};
    v6_loopback.back() = 1;
    const bool loopback = v6 ? address == v6_loopback : address.front() == 127;
    return ListenAddress{
        .ip = host, .port = static_cast<std::uint16_t>(*port), .loopback = loopback};
}

std::string host_port(const std::string& ip, std::uint16_t port) {
    const bool v6 = ip.find(':') != std::string::npos;
    return (v6 ? "[" + ip + "]" : ip) + ":" + std::to_string(port);
}

} // namespace slipway::http
