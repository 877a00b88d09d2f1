#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "agent/core/probe_verdict.h"
#include "common/core/result.h"
#include "common/format/run_spec.h"

namespace slipway::agent {

struct SupervisedCommand {
    std::string service; ///< For the log.
    RunCommand command;
    std::filesystem::path release; ///< Where it runs; argv[0] is below it, or absolute.
    std::map<std::string, std::string> variables; ///< As for hooks.
    /// Pause before the first restart after a crash; doubled up to `backoff_max`, and begun anew
    /// after a run of `backoff_max`.
    std::chrono::milliseconds backoff{1'000};
    std::chrono::milliseconds backoff_max{60'000};
};

/// Keeps one command running where there is no systemd, by the rules of hooks: no shell, a clean
/// environment, no inherited descriptor, and nothing of it outlives it or this process
/// (process_keeper.h). It is started again whenever it ends, with growing pauses; its output goes
/// to the log, line by line (`service.output`).
///
/// Threads: one of its own; all calls may come from any thread. stop() blocks for `stop_timeout`
/// and 2 s at most, start() for a stop().
class CommandSupervisor {
public:
    CommandSupervisor();
    /// Stops the command.
    ~CommandSupervisor();
    CommandSupervisor(const CommandSupervisor&) = delete;
    CommandSupervisor& operator=(const CommandSupervisor&) = delete;

    /// Stops what runs, then starts `command`. The first start decides: its errors are returned
    /// (no such program: errno), and nothing runs then. Later ones are counted and retried.
    [[nodiscard]] Result<> start(SupervisedCommand command);
    /// SIGTERM to its group, SIGKILL to all of it after `stop_timeout`. Nothing is left then.
    void stop();
    /// Failed: it does not run and will not be started. Restarts: how often it ended by itself.
    [[nodiscard]] UnitHealth health() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace slipway::agent
