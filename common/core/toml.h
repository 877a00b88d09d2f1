#pragma once

#include <stdexcept>

namespace slipway {
/// A document that toml++ 3.3 does not refuse but asserts on: a table header such as "[/x]".
class TomlAssertion : public std::runtime_error {
public:
    TomlAssertion() : std::runtime_error("a table's name is malformed: [name] or [\"any name\"]") {}
};
[[noreturn]] inline void throw_toml_assertion() {
    throw TomlAssertion();
}
} // namespace slipway

#define TOML_ASSERT(expr) ((expr) ? static_cast<void>(0) : ::slipway::throw_toml_assertion())
#include <toml++/toml.h>
