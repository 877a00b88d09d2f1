#include <cassert>
#include <cstdint>
#include <string>

#include "agent/core/seeder_info.h"

// What a seeder says about itself, and what a person says a seeder's address is.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway::agent;
    if (const auto info = decode_seeder_info({data, size}, "input")) {
        assert(info->bittorrent_port != 0 && info->bittorrent_ip.size() <= 45);
    }
    const std::string address(reinterpret_cast<const char*>(data), size);
    (void)local_directory(address);
    (void)local_directory("file://" + address);
    (void)join_url(address, "v1/seeder");
    return 0;
}
