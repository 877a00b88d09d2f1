#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace slipway {
[[noreturn]] inline void throw_toml_assertion() {
    throw std::logic_error("a table's name is malformed: [name] or [\"any name\"]");
}
} // namespace slipway

// toml++ 3.3 asserts on some documents instead of refusing them: a table header such as "[/x]".
#define TOML_ASSERT(expr) ((expr) ? static_cast<void>(0) : ::slipway::throw_toml_assertion())
#include <toml++/toml.h>

namespace slipway {

/// What is wrong with a TOML document.
struct TomlRefusal {
    std::uint32_t line = 0; ///< From 1; 0: not known.
    std::string why;
};

/// Parses a document, which is to be ASCII: toml++ 3.3 runs into undefined behaviour at some other
/// characters outside of strings, and strings have escapes ("\\u00e9").
[[nodiscard]] tl::expected<toml::table, TomlRefusal> parse_toml(std::string_view text);

} // namespace slipway
