#include "orchestrator/core/strategy_reader.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/core/toml.h"
#include "common/trust/canonical_json.h"

namespace slipway::orchestrator::text {
namespace {

struct Unit {
    std::string_view name;
    std::int64_t ms;
};
constexpr std::array units{Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000},
                           Unit{"s", 1'000}, Unit{"ms", 1}};

// TOML as the JSON that says the same; numbers with a fraction as texts.
class FromToml {
public:
    explicit FromToml(Lines& lines) : lines_(lines) {}
    Json convert(const toml::node& node, const std::string& path) {
        lines_.emplace(path, node.source().begin.line);
        if (const auto* table = node.as_table()) {
            Json object = Json::object();
            for (const auto& [key, value] : *table) {
                const std::string name(key.str());
                auto inner = path.empty() ? path : path + ".";
                inner += name;
                object[name] = convert(value, inner);
            }
            return object;
        }
        if (const auto* list = node.as_array()) {
            Json array = Json::array();
            for (const auto& one : *list) {
                array.push_back(convert(one, path + "[" + std::to_string(array.size() + 1) + "]"));
            }
            return array;
        }
        if (const auto text = node.value_exact<std::string>()) {
            return *text;
        }
        if (const auto number = node.value_exact<std::int64_t>()) {
            return *number < 0 ? Json(*number) : Json(static_cast<std::uint64_t>(*number));
        }
        if (const auto fraction = node.value_exact<double>()) {
            return number_text(*fraction);
        }
        const auto flag = node.value_exact<bool>();
        return flag ? Json(*flag) : Json(); // A date is nothing that any key takes.
    }

private:
    Lines& lines_;
};

} // namespace

std::string duration_text(Milliseconds duration) {
    for (const auto& unit : units) {
        if (duration.count() % unit.ms == 0 && duration.count() != 0) {
            return std::to_string(duration.count() / unit.ms) + std::string(unit.name);
        }
    }
    return "0s";
}

std::optional<Milliseconds> parse_duration(std::string_view text) {
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = parse_number<std::int64_t>(text.substr(0, digits));
    for (const auto& unit : units) {
        if (number && text.substr(digits) == unit.name &&
            *number <= duration_max.count() / unit.ms) {
            return Milliseconds{*number * unit.ms};
        }
    }
    return std::nullopt;
}

std::string number_text(double value) {
    std::array<char, 32> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
    return {buffer.data(), end};
}

Result<Json> read_text(std::string_view text, std::string_view what, Lines& lines) {
    const auto refused = [&](const std::string& why) {
        return fail(Errc::usage, std::string(what) + ": " + why);
    };
    if (text.size() > strategy_bytes_max) {
        return refused("longer than " + std::to_string(strategy_bytes_max) + " bytes");
    }
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && text[first] == '{') {
        auto parsed = parse_json(as_bytes(text), strategy_bytes_max, what);
        return parsed ? std::move(parsed) : fail(Errc::usage, parsed.error().context);
    }
    const auto parsed = parse_toml(text);
    if (!parsed) {
        const auto& [line, why] = parsed.error();
        return refused((line == 0 ? "" : "line " + std::to_string(line) + ": ") + why);
    }
    return FromToml(lines).convert(*parsed, "");
}

} // namespace slipway::orchestrator::text
