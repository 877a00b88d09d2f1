#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "common/core/result.h"

namespace slipway::trust {

/// TUF 4.2.3: exactly "YYYY-MM-DDTHH:MM:SSZ". Error: Errc::verification_failed.
[[nodiscard]] Result<std::chrono::sys_seconds> parse_utc(std::string_view text);
/// Years 0 to 9999.
[[nodiscard]] std::string format_utc(std::chrono::sys_seconds time);

} // namespace slipway::trust
