#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string_view>

namespace slipway {
/// A document that toml++ 3.3 does not refuse but asserts on: a table header such as "[/x]".
class TomlAssertion : public std::runtime_error {
public:
    TomlAssertion() : std::runtime_error("a table's name is malformed: [name] or [\"any name\"]") {}
};
[[noreturn]] inline void throw_toml_assertion() {
    throw TomlAssertion();
}

/// The line (from 1) of the first byte that is not ASCII; 0: there is none. toml++ 3.3 runs into
/// undefined behaviour at some of them outside of strings, so documents are ASCII; strings have
/// escapes ("\\u00e9").
[[nodiscard]] inline std::uint32_t line_beyond_ascii(std::string_view text) {
    const auto found = std::ranges::find_if(text, [](char c) { return (c & 0x80) != 0; });
    return found == text.end()
               ? 0
               : 1 + static_cast<std::uint32_t>(std::count(text.begin(), found, '\n'));
}
} // namespace slipway

#define TOML_ASSERT(expr) ((expr) ? static_cast<void>(0) : ::slipway::throw_toml_assertion())
#include <toml++/toml.h>
