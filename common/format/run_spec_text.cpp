#include <array>
#include <charconv>
#include <utility>

#include "common/core/errc.h"
#include "common/format/run_spec.h"

namespace slipway {
namespace {

constexpr Milliseconds duration_max = std::chrono::hours(24 * 7);
constexpr std::uint64_t size_max = 1ULL << 50U;

struct Unit {
    std::string_view suffix;
    std::uint64_t factor;
};
// Largest first: the text of a value uses the first that divides it.
constexpr std::array<Unit, 4> duration_units = {
    {{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 4> size_units = {
    {{"G", 1ULL << 30U}, {"M", 1ULL << 20U}, {"K", 1ULL << 10U}, {"", 1}}};

/// Digits and one of `units`, at most `max`; nothing if it is not.
std::optional<std::uint64_t> parse_scaled(std::string_view text, const std::array<Unit, 4>& units,
                                          std::uint64_t max) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto suffix = text.substr(static_cast<std::size_t>(end - text.data()));
    for (const auto& unit : units) {
        if (error == std::errc() && suffix == unit.suffix && number <= max / unit.factor) {
            return number * unit.factor;
        }
    }
    return std::nullopt;
}

std::string scaled_text(std::uint64_t value, const std::array<Unit, 4>& units) {
    for (const auto& unit : units) {
        if (value != 0 && value % unit.factor == 0) {
            return std::to_string(value / unit.factor).append(unit.suffix);
        }
    }
    return std::to_string(value).append(units[2].suffix == "s" ? "s" : "");
}

} // namespace

Result<Milliseconds> parse_duration(std::string_view text) {
    const auto value =
        parse_scaled(text, duration_units, static_cast<std::uint64_t>(duration_max.count()));
    if (!value) {
        return fail(Errc::usage, "'" + std::string(text.substr(0, 64)) +
                                     "' is not a duration of at most 7 days: digits and one of "
                                     "ms, s, m, h, for example 90s");
    }
    return Milliseconds(*value);
}

std::string duration_text(Milliseconds duration) {
    return scaled_text(static_cast<std::uint64_t>(duration.count()), duration_units);
}

Result<std::uint64_t> parse_size(std::string_view text) {
    const auto value = parse_scaled(text, size_units, size_max);
    if (!value) {
        return fail(Errc::usage, "'" + std::string(text.substr(0, 64)) +
                                     "' is not a size: digits and K, M or G, for example 256M");
    }
    return *value;
}

std::string size_text(std::uint64_t bytes) {
    return scaled_text(bytes, size_units);
}

std::string_view to_string(Hook hook) {
    switch (hook) {
    case Hook::pre_switch:
        return "pre-switch";
    case Hook::post_switch:
        return "post-switch";
    case Hook::pre_stop:
        return "pre-stop";
    case Hook::on_rollback:
        return "on-rollback";
    }
    return "";
}

std::string_view to_string(UnitAction action) {
    return action == UnitAction::restart ? "restart" : "reload";
}

std::string_view to_string(ProbeKind kind) {
    constexpr std::array<std::string_view, 5> names = {"http", "tcp", "exec", "systemd", "metric"};
    return names.at(static_cast<std::size_t>(kind));
}

std::string ProbeSpec::name() const {
    std::string out(to_string(kind));
    switch (kind) {
    case ProbeKind::http:
        return out + " " + url;
    case ProbeKind::tcp:
        return out + " " + address;
    case ProbeKind::exec:
        return out + " " + (program.argv.empty() ? std::string() : program.argv.front());
    case ProbeKind::systemd:
        return unit.empty() ? out : out + " " + unit;
    case ProbeKind::metric:
        return out + " " + metric;
    }
    return out;
}

} // namespace slipway
