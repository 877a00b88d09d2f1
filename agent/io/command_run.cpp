#include "agent/io/command_run.h"

#include <cerrno>
#include <csignal>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/core/errc.h"
#include "common/io/file_ops.h"

namespace slipway::agent {
namespace {

using Clock = std::chrono::steady_clock;

// How often a stop request is looked at.
constexpr int look_ms = 50;

Result<pid_t> spawn(const std::vector<std::string>& command,
                    const std::filesystem::path& directory) {
    std::vector<char*> argv;
    for (const auto& argument : command) {
        argv.push_back(const_cast<char*>(argument.c_str())); // NOLINT(*-const-cast): POSIX's type.
    }
    argv.push_back(nullptr);
    sigset_t none;
    sigemptyset(&none);
    sigset_t defaults;
    sigfillset(&defaults);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", 0, 0);
    posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
    pid_t pid = -1;
    errno = ::posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
    const int failed = errno;
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    errno = failed;
    if (failed != 0) {
        return fail_errno("start " + command.front() + " in " + directory.string());
    }
    return pid;
}

Result<> verdict(const std::string& name, int status) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return {};
    }
    return fail(Errc::failed,
                name + (WIFEXITED(status)
                            ? " ended with status " + std::to_string(WEXITSTATUS(status))
                            : " was ended by signal " + std::to_string(WTERMSIG(status))));
}

} // namespace

Result<> run_command(const std::vector<std::string>& command,
                     const std::filesystem::path& directory, std::chrono::milliseconds deadline,
                     const std::stop_token& stop) {
    const auto until = Clock::now() + deadline;
    const auto pid = spawn(command, directory);
    if (!pid) {
        return tl::unexpected(pid.error());
    }
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
    pollfd ended{process.get(), POLLIN, 0};
    while (::poll(&ended, 1, look_ms) <= 0 && !stop.stop_requested() && Clock::now() < until) {
    }
    const bool in_time = (ended.revents & POLLIN) != 0;
    // The leader is not reaped yet, so the group's number is still its own.
    ::kill(-*pid, SIGKILL);
    int status = 0;
    while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (in_time) {
        return verdict(command.front(), status);
    }
    return stop.stop_requested() ? fail(Errc::cancelled, command.front())
                                 : fail(Errc::failed, command.front() + " did not end within " +
                                                          std::to_string(deadline.count()) + " ms");
}

} // namespace slipway::agent
