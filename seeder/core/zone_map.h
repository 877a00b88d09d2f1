#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.h"
#include "seeder/core/swarm_graph.h"

namespace slipway::seeder {

/// Which zone and region a host is in: what it says itself, else what the map of addresses says
/// ("10.1.0.0/16=eu/eu-1a", the longest prefix counts), else one zone of the seeder's own region.
/// Pure; numbers are given in the order of first use. Not thread-safe.
class ZoneMap {
public:
    explicit ZoneMap(std::string own_region) : own_region_(std::move(own_region)) {}

    /// Error: Errc::usage, with the form.
    [[nodiscard]] Result<> add(std::string_view line);
    [[nodiscard]] Place place(const std::string& region, const std::string& zone,
                              std::string_view ip);

private:
    using Address = std::array<std::uint8_t, 16>; ///< IPv4 as ::ffff:a.b.c.d.
    struct Network {
        Address address{};
        unsigned prefix = 0;
        std::string region;
        std::string zone;
    };
    [[nodiscard]] static bool parse(std::string_view text, Address& address);
    [[nodiscard]] const Network* find(std::string_view ip) const;

    std::string own_region_;
    std::vector<Network> networks_; ///< Longest prefix first.
    std::map<std::string, std::uint32_t> regions_;
    std::map<std::string, std::uint32_t> zones_;
};

} // namespace slipway::seeder
