#include "seeder/core/zone_map.h"

#include <algorithm>

#include <arpa/inet.h>

#include "common/core/bytes.h"
#include "common/core/errc.h"
#include "common/core/numbers.h"

namespace slipway::seeder {
namespace {

constexpr unsigned v4_prefix = 96; ///< Of ::ffff:0:0/96.
// Names come from hosts; a fleet has hundreds of zones.
constexpr std::size_t names_max = 10'000;

std::uint32_t number_of(std::map<std::string, std::uint32_t>& names, const std::string& name) {
    const auto found = names.find(name);
    if (found != names.end()) {
        return found->second;
    }
    if (names.size() >= names_max) {
        return 0;
    }
    return names.emplace(name, static_cast<std::uint32_t>(names.size())).first->second;
}

} // namespace

bool ZoneMap::parse(std::string_view text, Address& address) {
    const std::string whole(text);
    address = {};
    if (inet_pton(AF_INET6, whole.c_str(), address.data()) == 1) {
        return true;
    }
    address = {};
    address[10] = address[11] = 0xff;
    return inet_pton(AF_INET, whole.c_str(), address.data() + 12) == 1;
}

Result<> ZoneMap::add(std::string_view line) {
    const auto refuse = [&] {
        return fail(Errc::usage, "--zone " + printable(std::string(line)) +
                                     ": give ADDRESS/PREFIX=[REGION/]ZONE, as in "
                                     "10.1.0.0/16=eu/eu-1a");
    };
    const auto equals = line.find('=');
    const auto slash = line.find('/');
    if (equals == line.npos || slash == line.npos || slash > equals) {
        return refuse();
    }
    Network network;
    const auto prefix = parse_number<unsigned>(line.substr(slash + 1, equals - slash - 1));
    const auto address = line.substr(0, slash);
    const bool v4 = address.find(':') == address.npos;
    if (!parse(address, network.address) || !prefix || *prefix > (v4 ? 32U : 128U)) {
        return refuse();
    }
    network.prefix = *prefix + (v4 ? v4_prefix : 0);
    const auto names = line.substr(equals + 1);
    const auto between = names.find('/');
    network.region = between == names.npos ? own_region_ : std::string(names.substr(0, between));
    network.zone = between == names.npos ? names : names.substr(between + 1);
    if (network.zone.empty()) {
        return refuse();
    }
    const auto place = std::ranges::find_if(
        networks_, [&](const Network& other) { return other.prefix < network.prefix; });
    networks_.insert(place, std::move(network));
    return {};
}

const ZoneMap::Network* ZoneMap::find(std::string_view ip) const {
    Address address{};
    if (networks_.empty() || !parse(ip, address)) {
        return nullptr;
    }
    for (const auto& network : networks_) {
        const auto whole = network.prefix / 8;
        const auto rest = network.prefix % 8;
        const auto mask = static_cast<std::uint8_t>(0xff00U >> rest);
        if (std::equal(address.begin(), address.begin() + whole, network.address.begin()) &&
            (rest == 0 || ((address[whole] ^ network.address[whole]) & mask) == 0)) {
            return &network;
        }
    }
    return nullptr;
}

Place ZoneMap::place(const std::string& region, const std::string& zone, std::string_view ip) {
    const auto* const network = region.empty() || zone.empty() ? find(ip) : nullptr;
    const auto& of_region = !region.empty() ? region : network ? network->region : own_region_;
    const auto& of_zone = !zone.empty() ? zone : network ? network->zone : zone;
    return {.region = number_of(regions_, of_region),
            .zone = number_of(zones_, of_region + "/" + of_zone)};
}

} // namespace slipway::seeder
