#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/core/bytes.h"
#include "common/core/result.h"

namespace slipway::agent {

/// What a seeder says about itself at GET /v1/seeder:
/// {"version":1,"region":"eu","assigns":true,"bittorrent":{"ip":"192.0.2.1","port":6881}}
struct SeederInfo {
    std::string region;
    std::string bittorrent_ip;
    std::uint16_t bittorrent_port = 0;
    bool assigns = false; ///< Its tracker assigns peers: POST /v1/swarms.
    bool operator==(const SeederInfo&) const = default;
};
inline constexpr std::size_t seeder_info_bytes_max = std::size_t{16} * 1024;

/// Errors: Errc::verification_failed, naming `what`. Unknown keys are let be: a newer seeder may
/// say more.
[[nodiscard]] Result<SeederInfo> decode_seeder_info(ByteSpan json, std::string_view what);

/// The directory that a seeder's address names: "file:///srv/repo" and "/srv/repo" do, URLs of
/// servers do not. '%XX' in a file URL is decoded.
[[nodiscard]] std::optional<std::string> local_directory(const std::string& address);

/// "http://h:1/x/" and "packs/p" is "http://h:1/x/packs/p".
[[nodiscard]] std::string join_url(std::string base, std::string_view path);

} // namespace slipway::agent
