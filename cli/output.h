#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "common/core/result.h"

namespace slipway::cli {

/// "1.4 MiB"; bytes below 1024 as they are.
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);

/// One line of JSON on stdout.
void print_json(const nlohmann::json& value);
/// A line on stdout; control bytes are escaped.
void print_line(const std::string& line);
/// A line on stderr: "slipway: ...".
void print_note(const std::string& line);
/// On stderr "slipway: what: why"; with `json` on stdout {"error":{"code":...,"message":...}}.
void print_error(const Error& error, bool json);

} // namespace slipway::cli
