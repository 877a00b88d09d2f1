#pragma once

#include <chrono>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "common/core/result.h"

namespace slipway::agent {

/// Runs a command to its end, without a shell, in a process group of its own that is killed whole
/// when it ends, when `deadline` passes or a stop is requested. Its output goes to ours.
/// Errors: Errc::failed with the exit status, signal or deadline; Errc::cancelled; an errno.
[[nodiscard]] Result<> run_command(const std::vector<std::string>& command,
                                   const std::filesystem::path& directory,
                                   std::chrono::milliseconds deadline, const std::stop_token& stop);

} // namespace slipway::agent
