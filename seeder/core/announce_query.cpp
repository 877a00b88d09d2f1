
#include "common/core/errc.h"
#include "common/core/numbers.h"
#include "seeder/core/tracker.h"

namespace slipway::seeder {
namespace {

constexpr std::size_t query_bytes_max = 8192;

int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const auto lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

Result<std::string> unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) {
            return fail(Errc::usage, "announce: malformed %-escape");
        }
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

/// Calls `visit(key, unescaped value)` for each parameter.
template <typename Visit>
Result<> for_each_parameter(std::string_view query, const Visit& visit) {
    if (query.size() > query_bytes_max) {
        return fail(Errc::usage, "announce: the query is too long");
    }
    while (!query.empty()) {
        const auto end = std::min(query.find('&'), query.size());
        const auto parameter = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        const auto equals = std::min(parameter.find('='), parameter.size());
        const auto value = unescape(parameter.substr(std::min(equals + 1, parameter.size())));
        if (!value) {
            return tl::unexpected(value.error());
        }
        if (auto visited = visit(parameter.substr(0, equals), *value); !visited) {
            return visited;
        }
    }
    return {};
}

template <typename Number>
Result<> read_number(std::string_view key, const std::string& text, Number& out) {
    const auto number = parse_number<Number>(text);
    if (!number) {
        return fail(Errc::usage, "announce: " + std::string(key) + " is not a number in range");
    }
    out = *number;
    return {};
}

Result<> parse_hash(std::string_view key, const std::string& text,
                    std::array<std::uint8_t, 20>& out) {
    if (text.size() != out.size()) {
        return fail(Errc::usage, "announce: " + std::string(key) + " is not 20 bytes long");
    }
    std::copy(text.begin(), text.end(), out.begin());
    return {};
}

AnnounceEvent event_of(std::string_view text) {
    if (text == "started") {
        return AnnounceEvent::started;
    }
    if (text == "completed") {
        return AnnounceEvent::completed;
    }
    if (text == "stopped") {
        return AnnounceEvent::stopped;
    }
    return text == "paused" ? AnnounceEvent::paused : AnnounceEvent::none;
}

} // namespace

Result<Announce> parse_announce(std::string_view query,
                                const std::vector<std::uint8_t>& from_address) {
    Announce announce;
    announce.peer.address = from_address;
    bool has_swarm = false;
    bool has_id = false;
    auto parsed =
        for_each_parameter(query, [&](std::string_view key, const std::string& value) -> Result<> {
            if (key == "info_hash") {
                has_swarm = true;
                return parse_hash(key, value, announce.swarm);
            }
            if (key == "peer_id") {
                has_id = true;
                return parse_hash(key, value, announce.id);
            }
            if (key == "port") {
                return read_number(key, value, announce.peer.port);
            }
            if (key == "left") {
                return read_number(key, value, announce.left);
            }
            if (key == "numwant") {
                return read_number(key, value, announce.peers_wanted);
            }
            if (key == "event") {
                announce.event = event_of(value);
            }
            return {};
        });
    if (!parsed) {
        return tl::unexpected(parsed.error());
    }
    if (!has_swarm || !has_id || announce.peer.port == 0) {
        return fail(Errc::usage, "announce: info_hash, peer_id and port are needed");
    }
    return announce;
}

Result<std::vector<SwarmHash>> parse_scrape(std::string_view query) {
    constexpr std::size_t hashes_max = 64;
    std::vector<SwarmHash> hashes;
    auto parsed =
        for_each_parameter(query, [&](std::string_view key, const std::string& value) -> Result<> {
            if (key != "info_hash" || hashes.size() >= hashes_max) {
                return {};
            }
            hashes.emplace_back();
            return parse_hash(key, value, hashes.back());
        });
    if (!parsed) {
        return tl::unexpected(parsed.error());
    }
    return hashes;
}

} // namespace slipway::seeder
