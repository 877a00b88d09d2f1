#pragma once

#include <string>
#include <system_error>

#include "common/core/result.h"

namespace slipway {

/// Failures that callers tell apart. Failures of the operating system keep their errno instead
/// (`std::errc`).
enum class Errc {
    failed = 1,          ///< Nothing more precise is known; the context says what happened.
    usage,               ///< A name, flag or argument is malformed.
    verification_failed, ///< Bytes do not match their digest, length, signature or format.
    not_found,           ///< The named artifact, release, service or key does not exist.
    busy,                ///< Another process holds the lock; the context says which.
    changed,             ///< A file changed while it was read.
    unreachable,         ///< A host did not answer, or answered with an error of its own.
    cancelled,           ///< The user or the service manager asked to stop.
    forbidden,           ///< The other side knows who asks, and its role may not do this.
};
std::error_code make_error_code(Errc errc);

/// Exit status of all four programs, documented in docs/commands.md.
enum class ExitStatus : int {
    done = 0,
    failed = 1,
    usage = 2,
    verification_failed = 3,
    not_found = 4,
};
[[nodiscard]] ExitStatus exit_status(const Error& error);

/// One line for a person: context, then the code's message. Control bytes, which a hostile file
/// name may carry, are escaped.
[[nodiscard]] std::string describe(const Error& error);

/// `text` with bytes outside printable ASCII and UTF-8 sequences' bytes kept, control bytes as
/// \xNN.
[[nodiscard]] std::string printable(std::string_view text);

/// The errno of the call that just failed, with what was attempted.
[[nodiscard]] tl::unexpected<Error> fail_errno(std::string context);

} // namespace slipway
template <>
struct std::is_error_code_enum<slipway::Errc> : std::true_type {};
