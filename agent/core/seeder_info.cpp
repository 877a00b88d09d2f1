#include "agent/core/seeder_info.h"

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/core/sha256.h"
#include "common/trust/canonical_json.h"

namespace slipway::agent {

using nlohmann::json;

Result<SeederInfo> decode_seeder_info(ByteSpan text, std::string_view what) {
    return parse_json(text, seeder_info_bytes_max, what)
        .and_then([&](const json& value) -> Result<SeederInfo> {
            const auto malformed = [&] {
                return fail(Errc::verification_failed,
                            std::string(what) + ": not the description of a seeder");
            };
            if (!value.is_object() || value.value("version", json()) != 1 ||
                !value.contains("bittorrent") || !value["bittorrent"].is_object()) {
                return malformed();
            }
            const auto& swarm = value["bittorrent"];
            if (!swarm.contains("ip") || !swarm["ip"].is_string() || !swarm.contains("port") ||
                !swarm["port"].is_number_unsigned()) {
                return malformed();
            }
            const auto ip = swarm["ip"].get<std::string>();
            const auto port = swarm["port"].get<std::uint64_t>();
            if (port == 0 || port > 65'535 || ip.size() > 45) {
                return malformed();
            }
            const auto region = value.value("region", json());
            return SeederInfo{region.is_string() ? region.get<std::string>() : "", ip,
                              static_cast<std::uint16_t>(port),
                              value.value("assigns", json()) == true};
        });
}

std::optional<std::string> local_directory(const std::string& address) {
    constexpr std::string_view scheme = "file://";
    if (address.find("://") == std::string::npos) {
        return address;
    }
    if (!address.starts_with(scheme)) {
        return std::nullopt;
    }
    std::string path;
    for (auto i = scheme.size(); i < address.size(); ++i) {
        const auto byte = address[i] == '%' ? from_hex(address.substr(i + 1, 2)) : Bytes{};
        if (byte && byte->size() == 1) {
            path += static_cast<char>(byte->front());
            i += 2;
        } else {
            path += address[i];
        }
    }
    return path;
}

std::string join_url(std::string base, std::string_view path) {
    if (!base.ends_with('/')) {
        base += '/';
    }
    return base += path;
}

} // namespace slipway::agent
