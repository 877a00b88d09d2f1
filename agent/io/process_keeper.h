#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "common/core/result.h"
#include "common/io/file_ops.h"

namespace slipway::agent {

/// A program and what it may use.
struct ProcessRequest {
    std::vector<std::string> argv;        ///< argv[0]: below `directory`, or absolute.
    std::vector<std::string> environment; ///< "NAME=VALUE"; nothing is inherited.
    std::filesystem::path directory;      ///< Where it runs.
    std::uint64_t memory_bytes = 0;       ///< 0: no limit.
    std::uint64_t tasks = 0;              ///< 0: no limit.
    /// Its cgroup v2, made by the caller; empty: none.
    std::filesystem::path cgroup = {};
};

/// How the program ended.
struct ProcessEnd {
    std::optional<int> exit_status = {}; ///< Nothing if a signal or we ended it.
    int signal = 0;
    int exec_errno = 0; ///< It was not started.
};

/// A program under a *keeper*: a child of ours that is the program's parent and the reaper of all
/// that descends from it (PR_SET_CHILD_SUBREAPER), however often it forks, detaches or starts
/// sessions. The keeper ends when the last of them has.
///
///     agent ── keeper ── program ── …          the keeper's socket closes when the agent dies:
///                 └───── orphans of the program       the keeper then kills all of them
///
/// With a cgroup, cgroup.kill ends all at once, whatever they do. Without, the keeper kills child
/// after child until there is none; a program that stops or kills its keeper is met by killing the
/// tree from outside, and what it orphaned comes to us (we are a reaper as well).
///
/// The program gets /dev/null as standard input, one pipe for both outputs, and no other
/// descriptor; default signals, its own session; no core dump.
///
/// Not thread-safe; one thread uses one keeper. A process that uses keepers has no other children:
/// when a keeper was killed, every child that is not a keeper counts as its orphan.
class ProcessKeeper {
public:
    /// Does not wait for the program. Errors: of fork, pipe and the cgroup's file.
    [[nodiscard]] static Result<ProcessKeeper> start(const ProcessRequest& request);
    ProcessKeeper(ProcessKeeper&& other) noexcept;
    ProcessKeeper& operator=(ProcessKeeper&&) = delete;
    ProcessKeeper(const ProcessKeeper&) = delete;
    ProcessKeeper& operator=(const ProcessKeeper&) = delete;
    /// Kills what is left and waits for it.
    ~ProcessKeeper();

    /// Readable when there is output. Not blocking.
    [[nodiscard]] int output() const { return output_.get(); }
    /// Readable (pidfd) when nothing of the program is left.
    [[nodiscard]] int gone() const { return pidfd_.get(); }

    /// Waits until the program runs (0) or could not be started (the errno).
    [[nodiscard]] int wait_started();
    /// SIGTERM to the program's session leader and its process group.
    void terminate();
    /// SIGKILL to all that descends from the program.
    void kill();
    /// The same when the keeper does not do it: kills the tree from outside, and the keeper.
    void force();
    /// Takes the end of the program. Only when gone() is readable.
    [[nodiscard]] ProcessEnd reap();

private:
    ProcessKeeper() = default;
    void kill_cgroup() const;

    pid_t keeper_ = -1;
    Fd pidfd_;
    Fd output_;
    Fd control_;
    std::optional<int> started_;
    std::filesystem::path cgroup_;
};

} // namespace slipway::agent
