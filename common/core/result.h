#pragma once

#include <string>
#include <system_error>
#include <utility>

#include <tl/expected.hpp>

namespace slipway {

/// Why an operation failed: a code to branch on, and a phrase that a person can act on.
struct Error {
    std::error_code code; ///< Compare with an enum: `error.code == Errc::not_found`.
    std::string
        context; ///< What was attempted, on which file, host or peer: "read /x/y/1.root.json".
};

/// A value, or the reason there is none. `Result<>` carries no value.
template <typename T = void>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(std::error_code code, std::string context) {
    return tl::unexpected<Error>(Error{code, std::move(context)});
}

/// The same failure with what was being done in front: "install web@2: read /x/y".
[[nodiscard]] inline Error within(std::string attempt, Error error) {
    error.context = std::move(attempt) + ": " + error.context;
    return error;
}

} // namespace slipway
