#include "common/core/toml.h"

#include <algorithm>

namespace slipway {

tl::expected<toml::table, TomlRefusal> parse_toml(std::string_view text) {
    const auto beyond = std::ranges::find_if(text, [](char c) { return (c & 0x80) != 0; });
    if (beyond != text.end()) {
        const auto line = 1 + std::count(text.begin(), beyond, '\n');
        return tl::unexpected(
            TomlRefusal{static_cast<std::uint32_t>(line),
                        "a character that is not ASCII: write it as \\uXXXX in quotes"});
    }
    try {
        return toml::parse(text);
    } catch (const toml::parse_error& error) {
        return tl::unexpected(
            TomlRefusal{error.source().begin.line, std::string(error.description())});
    } catch (const std::logic_error& error) {
        return tl::unexpected(TomlRefusal{0, error.what()});
    }
}

} // namespace slipway
