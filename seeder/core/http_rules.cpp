#include "seeder/core/http_rules.h"

#include <algorithm>
#include <array>

#include <arpa/inet.h>

#include "common/core/errc.h"
#include "common/core/numbers.h"

namespace slipway::seeder {
namespace {

bool is_path_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._+~-").find(c) != std::string_view::npos;
}

} // namespace

std::optional<std::string> repository_path(std::string_view http_path) {
    constexpr std::array roots{"/metadata/", "/targets/", "/packs/"};
    const bool in_layout =
        std::ranges::any_of(roots, [&](const char* root) { return http_path.starts_with(root); });
    if (!in_layout || http_path.size() > 1024 ||
        !std::ranges::all_of(http_path, is_path_character)) {
        return std::nullopt;
    }
    // No hidden file (temporary names begin with a dot), no "..", no empty part.
    if (http_path.find("/.") != std::string_view::npos ||
        http_path.find("//") != std::string_view::npos || http_path.ends_with('/')) {
        return std::nullopt;
    }
    return std::string(http_path.substr(1));
}

std::optional<FileRange> range_to_send(std::string_view header, std::uint64_t file_bytes) {
    const FileRange whole{.offset = 0, .bytes = file_bytes, .partial = false};
    constexpr std::string_view unit = "bytes=";
    if (!header.starts_with(unit) || header.find(',') != std::string_view::npos) {
        return whole;
    }
    header.remove_prefix(unit.size());
    const auto dash = header.find('-');
    if (dash == std::string_view::npos) {
        return whole;
    }
    const auto first = parse_number<std::uint64_t>(header.substr(0, dash));
    const auto last = parse_number<std::uint64_t>(header.substr(dash + 1));
    if (dash == 0) { // "-500": the last 500 bytes.
        if (!last) {
            return whole;
        }
        const auto bytes = std::min(*last, file_bytes);
        return bytes == 0 ? std::nullopt
                          : std::optional(FileRange{file_bytes - bytes, bytes, true});
    }
    const bool open_end = dash + 1 == header.size();
    if (!first || (!last && !open_end) || (last && *last < *first)) {
        return whole;
    }
    if (*first >= file_bytes) {
        return std::nullopt;
    }
    const auto end = open_end ? file_bytes - 1 : std::min(*last, file_bytes - 1);
    return FileRange{.offset = *first, .bytes = end - *first + 1, .partial = true};
}

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

} // namespace slipway::seeder
