#include "common/api/swarm.h"

#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/core/numbers.h"
#include "common/trust/canonical_json.h"

namespace slipway::api {

using nlohmann::json;

namespace {

constexpr std::size_t peer_bytes_max = 64;
constexpr std::size_t label_bytes_max = 64;
constexpr std::size_t session_digits = 16;
constexpr std::size_t swarm_digits = 40;

bool is_hex(std::string_view text, std::size_t digits) {
    return text.size() == digits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool is_label(std::string_view text) {
    return text.size() <= label_bytes_max &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

// Reads one document. The first failure stays; what is read after it is not looked at.
class Reader {
public:
    explicit Reader(std::string_view what) : what_(what) {}

    [[nodiscard]] std::optional<Error> take_error() { return std::move(error_); }
    void refuse(const std::string& field, const std::string& why) {
        if (!error_) {
            error_ =
                Error{make_error_code(Errc::verification_failed), what_ + ": " + field + " " + why};
        }
    }
    void version(const json& value) {
        if (!value.is_object() || value.value("version", json()) != 1) {
            refuse("version", "must be 1");
        }
    }
    std::uint64_t number(const json& of, const char* name, std::uint64_t most) {
        const auto value = of.value(name, json(0U));
        if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) {
            refuse(name, "must be a number up to " + std::to_string(most));
            return 0;
        }
        return value.get<std::uint64_t>();
    }
    bool flag(const json& of, const char* name, bool otherwise) {
        const auto value = of.value(name, json(otherwise));
        if (!value.is_boolean()) {
            refuse(name, "must be true or false");
            return otherwise;
        }
        return value.get<bool>();
    }
    std::string text(const json& of, const char* name, bool (*valid)(std::string_view),
                     const char* rule) {
        const auto value = of.value(name, json(""));
        if (!value.is_string() || !valid(value.get_ref<const std::string&>())) {
            refuse(name, rule);
            return {};
        }
        return value.get<std::string>();
    }
    std::string label(const json& of, const char* name) {
        return text(of, name, is_label, "must be 64 printable characters at most");
    }
    std::string swarm(const json& of) {
        return text(
            of, "swarm", [](std::string_view hash) { return is_hex(hash, swarm_digits); },
            "must be 40 hexadecimal digits");
    }
    const json& list(const json& of, const char* name, std::size_t most) {
        static const json none = json::array();
        const auto found = of.find(name);
        if (found == of.end()) {
            return none;
        }
        if (!found->is_array() || found->size() > most) {
            refuse(name, "must be a list of " + std::to_string(most) + " at most");
            return none;
        }
        return *found;
    }
    std::vector<PeerText> peers(const json& of, const char* name, std::size_t most) {
        std::vector<PeerText> all;
        for (const auto& one : list(of, name, most)) {
            if (!one.is_string() || !parse_peer(one.get_ref<const std::string&>())) {
                refuse(name, "must be addresses and ports: 192.0.2.7:6881");
                return {};
            }
            all.push_back(one.get<std::string>());
        }
        return all;
    }
    bool object(const json& value, const char* name) {
        if (!value.is_object()) {
            refuse(name, "must be a list of objects");
        }
        return value.is_object();
    }

private:
    std::string what_;
    std::optional<Error> error_;
};

template <typename Document, typename Read>
Result<Document> decode(ByteSpan text, std::string_view what, Read&& read) {
    return parse_json(text, swarm_body_bytes_max, what)
        .and_then([&](const json& value) -> Result<Document> {
            Reader reader(what);
            Document document;
            reader.version(value);
            if (value.is_object()) {
                read(reader, value, document);
            }
            if (auto error = reader.take_error()) {
                return tl::unexpected(std::move(*error));
            }
            return document;
        });
}

} // namespace

std::string encode_swarm_call(const SwarmCall& call) {
    json swarms = json::array();
    for (const auto& report : call.swarms) {
        json one = {{"swarm", report.swarm}, {"lacks", report.lacks}};
        if (report.starving) {
            one["starving"] = true;
        }
        if (!report.bad.empty()) {
            one["bad"] = report.bad;
        }
        swarms.push_back(std::move(one));
    }
    return json{{"version", 1},          {"session", call.session},      {"port", call.port},
                {"seen", call.seen},     {"wait_ms", call.wait.count()}, {"zone", call.zone},
                {"region", call.region}, {"swarms", std::move(swarms)}}
        .dump();
}

std::string encode_swarm_answer(const SwarmAnswer& answer) {
    json swarms = json::array();
    for (const auto& orders : answer.swarms) {
        swarms.push_back({{"swarm", orders.swarm},
                          {"known", orders.known},
                          {"source", orders.source},
                          {"dial", orders.dial},
                          {"expect", orders.expect}});
    }
    return json{{"version", 1},
                {"generation", answer.generation},
                {"call_ms", answer.call.count()},
                {"swarms", std::move(swarms)}}
        .dump();
}

Result<SwarmCall> decode_swarm_call(ByteSpan text, std::string_view what) {
    return decode<SwarmCall>(text, what, [](Reader& reader, const json& value, SwarmCall& call) {
        call.session = reader.text(
            value, "session", [](std::string_view id) { return is_hex(id, session_digits); },
            "must be 16 hexadecimal digits");
        call.port = static_cast<std::uint16_t>(reader.number(value, "port", 0xffff));
        if (call.port == 0) {
            reader.refuse("port", "must be where the host listens for peers");
        }
        call.seen = reader.number(value, "seen", UINT64_MAX);
        call.wait = std::chrono::milliseconds(
            reader.number(value, "wait_ms", static_cast<std::uint64_t>(swarm_wait_max.count())));
        call.zone = reader.label(value, "zone");
        call.region = reader.label(value, "region");
        for (const auto& one : reader.list(value, "swarms", swarms_of_call_max)) {
            if (!reader.object(one, "swarms")) {
                return;
            }
            SwarmReport report;
            report.swarm = reader.swarm(one);
            report.lacks = reader.number(one, "lacks", UINT64_MAX);
            report.starving = reader.flag(one, "starving", false);
            report.bad = reader.peers(one, "bad", bad_peers_max);
            call.swarms.push_back(std::move(report));
        }
    });
}

Result<SwarmAnswer> decode_swarm_answer(ByteSpan text, std::string_view what) {
    return decode<SwarmAnswer>(
        text, what, [](Reader& reader, const json& value, SwarmAnswer& answer) {
            answer.generation = reader.number(value, "generation", UINT64_MAX);
            constexpr std::uint64_t day_ms = 86'400'000;
            answer.call = std::chrono::milliseconds(reader.number(value, "call_ms", day_ms));
            for (const auto& one : reader.list(value, "swarms", swarms_of_call_max)) {
                if (!reader.object(one, "swarms")) {
                    return;
                }
                SwarmOrders orders;
                orders.swarm = reader.swarm(one);
                orders.known = reader.flag(one, "known", true);
                orders.source = reader.flag(one, "source", false);
                orders.dial = reader.peers(one, "dial", assigned_peers_max);
                orders.expect = reader.peers(one, "expect", assigned_peers_max);
                answer.swarms.push_back(std::move(orders));
            }
        });
}

Result<PeerPlace> parse_peer(std::string_view text) {
    const auto colon = text.rfind(':');
    const auto refuse = [] {
        return fail(Errc::verification_failed, "a peer must be an address and a port");
    };
    if (colon == text.npos || text.size() > peer_bytes_max) {
        return refuse();
    }
    auto ip = text.substr(0, colon);
    const bool v6 = ip.starts_with('[') && ip.ends_with(']') && ip.size() > 2;
    if (v6) {
        ip = ip.substr(1, ip.size() - 2);
    }
    const auto allowed = v6 ? "0123456789abcdef:." : "0123456789.";
    const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
    if (ip.empty() || ip.find_first_not_of(allowed) != ip.npos || !port || *port == 0) {
        return refuse();
    }
    return PeerPlace{std::string(ip), *port};
}

PeerText peer_text(std::string_view ip, std::uint16_t port) {
    const bool v6 = ip.find(':') != ip.npos;
    return (v6 ? "[" : "") + std::string(ip) + (v6 ? "]:" : ":") + std::to_string(port);
}

} // namespace slipway::api
