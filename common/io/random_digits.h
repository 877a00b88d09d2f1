#pragma once

#include <cstddef>
#include <string>

namespace slipway {

/// `count` hexadecimal digits that nobody has drawn before: names of runs, sessions and requests.
/// Not for secrets.
[[nodiscard]] std::string random_digits(std::size_t count);

} // namespace slipway
