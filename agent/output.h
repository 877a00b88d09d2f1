#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/io/host_install.h"
#include "agent/io/release_commands.h"
#include "common/core/identity.h"

namespace slipway::agent {

// What slipway-agent prints on standard output: sentences, or one JSON line. Errors go to standard
// error, and with `json` as {"error":{…}} to standard output.
void show_install(const InstallRequest& request, const InstallResult& result, bool json);
void show_stage(const InstallRequest& request, const StageResult& result, bool json);
/// `daemon`: what the daemon says about itself (JSON), if one runs.
void show_status(const HostLayout& host, const std::vector<ServiceStatus>& all,
                 const std::optional<std::string>& daemon, bool json);
void show_releases(const std::vector<ServiceStatus>& all, bool json);
void show_verified(const std::vector<VerifiedRelease>& verified, bool json);
void show_rollback(const std::string& service, const ReleaseCommands::RolledBack& done, bool json);
void show_garbage(const std::vector<Removed>& removed, bool dry_run, bool json);
void show_enrolled(const Identity& identity, const std::filesystem::path& directory, bool json);
void show_error(const Error& error, bool json);

} // namespace slipway::agent
