#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "common/core/bytes.h"
#include "common/core/result.h"

namespace slipway {

/// Parses JSON that nobody vouches for: at most `max_bytes`, nesting of 32, no duplicate keys, no
/// floating-point numbers, valid UTF-8. Errors: Errc::verification_failed, naming `what`.
[[nodiscard]] Result<nlohmann::json> parse_json(ByteSpan text, std::size_t max_bytes,
                                                std::string_view what);

/// OLPC canonical JSON, as TUF 1.0.34 section 4.2.1 wants it for signatures: sorted keys, no
/// white space, only '"' and '\' escaped.
[[nodiscard]] std::string canonical_json(const nlohmann::json& value);

} // namespace slipway
