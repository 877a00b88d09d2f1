#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/document.h"

namespace slipway::seeder {

/// /etc/slipway/seeder.toml. Flags of the same meaning count more.
struct SeederConfig {
    std::string repository;
    std::string keys;
    std::string passphrase_file;
    std::string listen = "127.0.0.1:7070";
    std::uint16_t bittorrent_port = 0;
    std::string region;
    std::vector<std::string> zones; ///< "10.1.0.0/16=eu/eu-1a"
    std::uint64_t upload_bytes_per_s_max = 0;
    bool open = false;
    bool json = false;
    config::TlsPaths tls;
};

/// Takes the keys of the file; what is wrong is complained of in `table`.
[[nodiscard]] SeederConfig read_seeder_config(config::Table& table);

} // namespace slipway::seeder
