#pragma once

#include <mutex>
#include <optional>

#include "agent/core/install_machine.h"
#include "agent/io/command_supervisor.h"

namespace slipway::agent {

/// The command of one service, on hosts without a service manager: which release of it runs.
/// Commands end with this process (process_keeper.h), so a daemon that starts anew starts them
/// anew. Thread-safe; calls wait for each other.
class ServiceCommand {
public:
    /// Stops what runs and starts `command`, which is of `release`. Error: it cannot be started.
    [[nodiscard]] Result<> restart(const Release& release, SupervisedCommand command);
    /// Starts `command` unless a command of `release` was started before.
    [[nodiscard]] Result<> keep(const Release& release, SupervisedCommand command);
    /// For a release that has no command.
    void stop();
    /// Nothing when no command was started.
    [[nodiscard]] std::optional<UnitHealth> health() const;

private:
    [[nodiscard]] Result<> start(const Release& release, SupervisedCommand command);
    mutable std::mutex mutex_;
    CommandSupervisor supervisor_;
    std::optional<Release> release_; ///< Whose command the supervisor keeps.
};

} // namespace slipway::agent
