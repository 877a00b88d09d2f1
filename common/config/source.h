#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/config/document.h"

namespace slipway::config {

/// Where a daemon's configuration comes from: `--config`, `--set` and `--check-config` (flags.h),
/// and the environment. The file counts least, then the environment, then `--set`.
struct Source {
    std::filesystem::path file;   ///< May be empty: then there is none, and defaults hold.
    std::vector<std::string> set; ///< "KEY=VALUE".
    std::string variables;        ///< Prefix of the environment's variables, "SLIPWAY_SEEDER_".
    bool check = false;           ///< Only say whether it is right.
};

/// Reads it all. Errors: those of the disk, naming the file; Errc::usage, see read_document().
[[nodiscard]] Result<> read_source(const Source& source, const std::function<void(Table&)>& read);

} // namespace slipway::config
