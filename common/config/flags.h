#pragma once

#include <CLI/CLI.hpp>

#include "common/config/source.h"

namespace slipway::config {

/// The flags of a daemon's configuration, the same in every daemon.
inline void add_flags(CLI::App& app, Source& source) {
    app.add_option("--config", source.file, "Configuration file (TOML)")->capture_default_str();
    app.add_option("--set", source.set,
                   "KEY=VALUE that counts more than the file and than " + source.variables +
                       "KEY in the environment; may be repeated");
    app.add_flag("--check-config", source.check,
                 "Only say whether the configuration is right, with line and key of each mistake");
}

} // namespace slipway::config
