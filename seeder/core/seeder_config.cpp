#include "seeder/core/seeder_config.h"

#include "common/http/listen_address.h"

namespace slipway::seeder {

SeederConfig read_seeder_config(config::Table& table) {
    SeederConfig config;
    table.take("repository", config.repository);
    table.take("keys", config.keys);
    table.take("passphrase_file", config.passphrase_file);
    table.take("listen", config.listen);
    table.take_count("bittorrent_port", config.bittorrent_port, 0, 65'535);
    table.take("region", config.region);
    table.take("zones", config.zones);
    table.take_count("upload_bytes_per_s_max", config.upload_bytes_per_s_max, 0,
                     std::int64_t{1} << 50U);
    table.take("open", config.open);
    table.take("json", config.json);
    config.tls = config::take_tls(table);
    if (!http::parse_listen_address(config.listen)) {
        table.complain("listen", "must be IP:PORT");
    }
    return config;
}

} // namespace slipway::seeder
