#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace slipway {

/// The whole of `text` as a decimal number; nothing if it is none, or does not fit.
template <typename Number>
[[nodiscard]] std::optional<Number> parse_number(std::string_view text) {
    Number number{};
    const auto* const end = text.data() + text.size();
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): `end` says the length.
    const auto [stopped, error] = std::from_chars(text.data(), end, number);
    return error == std::errc() && stopped == end ? std::optional(number) : std::nullopt;
}

} // namespace slipway
