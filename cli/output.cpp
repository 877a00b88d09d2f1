#include "cli/output.h"

#include <array>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"

namespace slipway::cli {
namespace {

void print(std::FILE* to, const std::string& line) {
    std::fwrite(line.data(), 1, line.size(), to);
    std::fputc('\n', to);
    std::fflush(to);
}

std::string code_name(const std::error_code& code) {
    constexpr std::array<std::pair<Errc, const char*>, 9> names{{
        {Errc::failed, "failed"},
        {Errc::usage, "usage"},
        {Errc::verification_failed, "verification_failed"},
        {Errc::not_found, "not_found"},
        {Errc::busy, "busy"},
        {Errc::changed, "changed"},
        {Errc::unreachable, "unreachable"},
        {Errc::cancelled, "cancelled"},
        {Errc::forbidden, "forbidden"},
    }};
    for (const auto& [errc, name] : names) {
        if (code == errc) {
            return name;
        }
    }
    return "system";
}

} // namespace

std::string human_bytes(std::uint64_t bytes) {
    if (bytes < 1024) {
        return std::to_string(bytes) + " bytes";
    }
    constexpr std::array units{"KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    std::array<char, 32> text{};
    const auto length = std::snprintf(text.data(), text.size(), "%.1f %s", value, units.at(unit));
    return {text.data(), static_cast<std::size_t>(length)};
}

void print_json(const nlohmann::json& value) {
    // Paths are bytes: what is not UTF-8 is replaced rather than refused.
    print(stdout, value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print_line(const std::string& line) {
    print(stdout, printable(line));
}

void print_note(const std::string& line) {
    print(stderr, "slipway: " + printable(line));
}

void print_error(const Error& error, bool json) {
    if (json) {
        print_json({{"error", {{"code", code_name(error.code)}, {"message", describe(error)}}}});
    }
    print(stderr, "slipway: " + describe(error));
}

} // namespace slipway::cli
