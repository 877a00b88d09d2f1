#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <stop_token>
#include <string>

#include "common/core/result.h"
#include "common/format/run_spec.h"

namespace slipway::agent {

/// One run of a hook or of an exec probe.
struct HookRequest {
    std::string name; ///< "pre-switch"; SLIPWAY_HOOK, and in messages.
    RunProgram program;
    std::filesystem::path release; ///< Of the release that the hook belongs to; where it runs.
    /// What the hook is told, for example {"SLIPWAY_SERVICE", "web"} (docs/running-services.md).
    std::map<std::string, std::string> variables;
};

/// What a hook that ran to its end, well or not, left.
struct HookOutcome {
    bool ok = false;                ///< Exit status 0 in time.
    bool timed_out = false;         ///< It was ended at its deadline.
    int exit_status = -1;           ///< -1: it was ended by a signal.
    std::string output;             ///< The last of both outputs, at most its limit.
    std::uint64_t output_bytes = 0; ///< All of it, what was dropped included.
    /// "hook pre-switch (hooks/check): exit status 3; last output: …".
    std::string message;
    std::chrono::milliseconds took{0};
};

/// Runs hooks: argv without a shell, a clean environment, bounded output, memory and tasks, and an
/// end: TERM at the deadline, KILL two seconds later, and nothing that the hook started survives
/// it, on success neither.
///
/// With a directory of cgroup v2 that this process may change (a unit with Delegate=yes), each run
/// is a cgroup of its own: memory.max and pids.max where these controllers are enabled there,
/// cgroup.kill at the end. Without, memory is limited for each process, and the tree is killed
/// process by process (process_keeper.h).
///
/// Threads: run() may be called from several at once. Blocking: until the hook has ended, at most
/// its deadline and 5 s; use run_blocking() on a pool. A stop request ends the hook as its deadline
/// does.
class HookRunner {
public:
    /// `cgroups`: directory below which runs get their cgroups; empty for none.
    explicit HookRunner(std::filesystem::path cgroups = {});

    /// Errors: the hook does not exist or cannot be started (errno), Errc::cancelled, no cgroup
    /// could be made. A hook that fails is no error but an outcome.
    [[nodiscard]] Result<HookOutcome> run(const HookRequest& request, std::stop_token stop) const;

private:
    std::filesystem::path cgroups_;
};

} // namespace slipway::agent
