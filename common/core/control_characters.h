#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

namespace slipway {

/// The line (from 1) of the first control character that TOML forbids everywhere; none if there is
/// no such. toml++ 3.3 ends the process at some of them (behind a '[') instead of refusing them.
[[nodiscard]] inline std::optional<std::uint32_t>
line_with_control_character(std::string_view text) {
    const auto found = std::ranges::find_if(text, [](char c) {
        const auto code = static_cast<unsigned char>(c);
        return (code < 0x20 && c != '\t' && c != '\n' && c != '\r') || code == 0x7f;
    });
    if (found == text.end()) {
        return std::nullopt;
    }
    return 1 + static_cast<std::uint32_t>(std::count(text.begin(), found, '\n'));
}

} // namespace slipway
