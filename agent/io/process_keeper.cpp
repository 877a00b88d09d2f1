#include "agent/io/process_keeper.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fstream>
#include <mutex>
#include <set>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/core/errc.h"

namespace slipway::agent {
namespace {

// What the keeper says at the end, in one message. Before it, it says the errno of the start.
struct Report {
    int exec_errno = 0;
    int status = 0; // As of waitpid().
};

// Keepers of this process: children that are not among them are orphans of a killed keeper.
std::mutex keepers_mutex;      // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)
std::set<pid_t> keepers_known; // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

/// Everything that the keeper needs, made before the fork: a process with threads may only make
/// system calls after it.
struct Prepared {
    std::vector<char*> argv;
    std::vector<char*> environment;
    const char* directory = nullptr;
    const char* cgroup_procs = nullptr;
    rlim_t memory = RLIM_INFINITY;
    rlim_t tasks = RLIM_INFINITY;
    int output = -1;
    int control = -1;
};

void set_limit(int resource, rlim_t value) {
    const rlimit limit{value, value};
    ::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
}

// Runs in the child of the keeper. Gives the errno of what failed.
int exec_program(const Prepared& prepared) {
    ::setsid();
    if (prepared.cgroup_procs != nullptr) {
        const int procs = ::open(prepared.cgroup_procs, O_WRONLY | O_CLOEXEC);
        if (procs < 0 || ::write(procs, "0", 1) != 1) {
            return errno;
        }
    }
    sigset_t none;
    sigemptyset(&none);
    for (int signal = 1; signal < NSIG; ++signal) {
        ::signal(signal, SIG_DFL); // NOLINT(bugprone-unused-return-value)
    }
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_DATA, prepared.memory);
    set_limit(RLIMIT_NPROC, prepared.tasks); // Counts for users without privileges only.
    const int null = ::open("/dev/null", O_RDONLY);
    if (null < 0 || ::dup2(null, 0) < 0 || ::dup2(prepared.output, 1) < 0 ||
        ::dup2(prepared.output, 2) < 0 || ::chdir(prepared.directory) != 0) {
        return errno;
    }
    ::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
    ::umask(022);
    ::execve(prepared.argv[0], prepared.argv.data(), prepared.environment.data());
    return errno;
}

// Kills the keeper's children: those of a killed child become the keeper's, and are next.
void kill_children(const char* children_path) {
    char text[4096];
    const int fd = ::open(children_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    pid_t pid = 0;
    for (ssize_t got = 0; (got = ::read(fd, text, sizeof text)) > 0;) {
        for (ssize_t at = 0; at < got; ++at) {
            if (text[at] >= '0' && text[at] <= '9') {
                pid = pid * 10 + (text[at] - '0');
            } else if (pid > 0) {
                ::kill(-pid, SIGKILL); // If it leads a group: all of it in one instant.
                ::kill(pid, SIGKILL);
                pid = 0;
            }
        }
    }
    ::close(fd);
}

/// The keeper's life: from the fork to the end of the program's last descendant.
[[noreturn]] void keep(const Prepared& prepared) {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    ::signal(SIGCHLD, SIG_DFL); // NOLINT(bugprone-unused-return-value): ignored, it hides the dead.
    ::setsid();
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::prctl(PR_SET_NAME, "slipway-keeper");
    // Only the two ends stay open: a lock or a listener of the agent must not live on here.
    ::dup2(prepared.output, 0);
    ::dup2(prepared.control, 1);
    ::syscall(SYS_close_range, 2U, ~0U, 0U);
    Prepared mine = prepared;
    mine.output = 3;
    ::dup2(0, 3);

    int errors[2] = {-1, -1}; // Closed by execve, or with the errno.
    Report report;
    pid_t program = -1;
    if (::pipe2(errors, O_CLOEXEC) == 0) {
        program = ::fork();
        if (program == 0) {
            const int failed = exec_program(mine);
            (void)!::write(errors[1], &failed, sizeof failed);
            ::_exit(127);
        }
        ::close(errors[1]);
    }
    if (program < 0) {
        report.exec_errno = errno;
        ::send(1, &report.exec_errno, sizeof report.exec_errno, MSG_NOSIGNAL);
        ::send(1, &report, sizeof report, MSG_NOSIGNAL);
        ::_exit(0);
    }
    ::close(0);
    ::close(3);
    if (::read(errors[0], &report.exec_errno, sizeof report.exec_errno) < 0) {
        report.exec_errno = errno;
    }
    ::close(errors[0]);
    ::send(1, &report.exec_errno, sizeof report.exec_errno, MSG_NOSIGNAL);

    // The path of the own children, put together without the heap.
    char path[64] = "/proc/self/task/";
    char* end = std::to_chars(path + std::strlen(path), path + 40, ::getpid()).ptr;
    std::memcpy(end, "/children", 10);

    sigset_t child_ended;
    sigemptyset(&child_ended);
    sigaddset(&child_ended, SIGCHLD);
    const int ended = ::signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK);
    bool killing = ended < 0; // Without it the end of the program would not be seen.
    for (;;) {
        int status = 0;
        const pid_t dead = ::waitpid(-1, &status, WNOHANG);
        if (dead == program) {
            report.status = status;
            ::send(1, &report, sizeof report, MSG_NOSIGNAL);
            killing = true; // What it left behind is not to stay.
        }
        if (dead < 0 && errno == ECHILD) {
            ::_exit(0);
        }
        if (dead > 0) {
            continue;
        }
        if (killing) {
            kill_children(path);
        }
        pollfd waits[2] = {{.fd = killing ? -1 : 1, .events = POLLIN, .revents = 0},
                           {.fd = ended, .events = POLLIN, .revents = 0}};
        if (::poll(waits, 2, killing ? 1 : -1) <= 0) {
            continue;
        }
        if (waits[1].revents != 0) {
            signalfd_siginfo ignored;
            (void)!::read(ended, &ignored, sizeof ignored);
        }
        if (waits[0].revents != 0) {
            char order = 'K'; // The agent is gone.
            if (::recv(1, &order, 1, MSG_DONTWAIT) <= 0 || order == 'K') {
                killing = true;
            } else {
                ::kill(-program, SIGTERM);
            }
        }
    }
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (const auto& text : texts) {
        out.push_back(const_cast<char*>(text.c_str())); // NOLINT(*-const-cast): execve's type.
    }
    out.push_back(nullptr);
    return out;
}

/// Children of all threads of `pid`, from /proc.
std::vector<pid_t> children_of(pid_t pid) {
    std::vector<pid_t> out;
    std::error_code ignored;
    const auto tasks = "/proc/" + std::to_string(pid) + "/task";
    for (auto it = std::filesystem::directory_iterator(tasks, ignored);
         it != std::filesystem::directory_iterator(); it.increment(ignored)) {
        std::ifstream in(it->path() / "children");
        for (pid_t child = 0; in >> child;) {
            out.push_back(child);
        }
    }
    return out;
}

/// All that descends from `pid`, without it.
std::vector<pid_t> descendants_of(pid_t pid) {
    auto out = children_of(pid);
    for (std::size_t at = 0; at < out.size() && out.size() < 100'000; ++at) {
        const auto more = children_of(out[at]);
        out.insert(out.end(), more.begin(), more.end());
    }
    return out;
}

/// Kills and reaps what a killed keeper left to us.
void kill_orphans() {
    const std::lock_guard lock(keepers_mutex);
    for (int round = 0; round < 1'000; ++round) {
        bool found = false;
        for (const auto child : children_of(::getpid())) {
            if (!keepers_known.contains(child)) {
                found = true;
                ::kill(child, SIGKILL);
                ::waitpid(child, nullptr, 0);
            }
        }
        if (!found) {
            return;
        }
    }
}

} // namespace

Result<ProcessKeeper> ProcessKeeper::start(const ProcessRequest& request) {
    assert(!request.argv.empty());
    const auto what = "start " + request.argv.front();
    int pipe[2] = {-1, -1};
    int control[2] = {-1, -1};
    if (::pipe2(pipe, O_CLOEXEC) != 0) {
        return fail_errno(what + ": pipe");
    }
    ProcessKeeper keeper;
    keeper.output_ = Fd(pipe[0]);
    const Fd write_end(pipe[1]);
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0) {
        return fail_errno(what + ": socketpair");
    }
    keeper.control_ = Fd(control[0]);
    const Fd keepers_end(control[1]);
    ::fcntl(keeper.output_.get(), F_SETFL, O_NONBLOCK);
    keeper.cgroup_ = request.cgroup;

    const auto procs = (request.cgroup / "cgroup.procs").string();
    Prepared prepared{.argv = pointers(request.argv),
                      .environment = pointers(request.environment),
                      .directory = request.directory.c_str(),
                      .cgroup_procs = request.cgroup.empty() ? nullptr : procs.c_str(),
                      .output = write_end.get(),
                      .control = keepers_end.get()};
    if (request.memory_bytes != 0) {
        prepared.memory = request.memory_bytes;
    }
    if (request.tasks != 0) {
        prepared.tasks = request.tasks;
    }
    ::prctl(PR_SET_CHILD_SUBREAPER, 1); // A keeper that is killed leaves its children to us.
    const std::lock_guard lock(keepers_mutex);
    keeper.keeper_ = ::fork();
    if (keeper.keeper_ == 0) {
        keep(prepared);
    }
    if (keeper.keeper_ < 0) {
        return fail_errno(what + ": fork");
    }
    keepers_known.insert(keeper.keeper_);
    keeper.pidfd_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, keeper.keeper_, 0U)));
    return keeper;
}

ProcessKeeper::ProcessKeeper(ProcessKeeper&& other) noexcept
    : keeper_(std::exchange(other.keeper_, -1)), pidfd_(std::move(other.pidfd_)),
      output_(std::move(other.output_)), control_(std::move(other.control_)),
      started_(other.started_), cgroup_(std::move(other.cgroup_)) {}

ProcessKeeper::~ProcessKeeper() {
    if (keeper_ > 0) {
        force();
        (void)reap();
    }
}

int ProcessKeeper::wait_started() {
    int failed = 0;
    if (!started_) {
        const auto got = ::recv(control_.get(), &failed, sizeof failed, 0);
        started_ = got == static_cast<ssize_t>(sizeof failed) ? failed : ECHILD;
    }
    return *started_;
}

void ProcessKeeper::terminate() {
    (void)::send(control_.get(), "T", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void ProcessKeeper::kill() {
    (void)::send(control_.get(), "K", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    kill_cgroup();
}

void ProcessKeeper::force() {
    kill_cgroup();
    // The keeper, stopped or not, stays the reaper of all of them until it is killed as the last.
    for (int round = 0; round < 1'000; ++round) {
        bool alive = false;
        for (const auto pid : descendants_of(keeper_)) {
            alive = ::kill(pid, SIGKILL) == 0 || alive;
        }
        if (!alive || round == 20) {
            ::kill(keeper_, SIGKILL); // After 20 rounds what is left are zombies of its own.
            break;
        }
    }
}

ProcessEnd ProcessKeeper::reap() {
    assert(keeper_ > 0);
    int status = 0;
    siginfo_t ended{};
    // Reaped under the lock only: its number may be given to a new keeper at once.
    ::waitid(P_PID, static_cast<id_t>(keeper_), &ended, WEXITED | WNOWAIT);
    {
        const std::lock_guard lock(keepers_mutex);
        ::waitpid(keeper_, &status, 0);
        keepers_known.erase(keeper_);
    }
    keeper_ = -1;
    if (WIFSIGNALED(status)) {
        kill_cgroup();
        kill_orphans();
    }
    ProcessEnd end;
    end.exec_errno = wait_started(); // Its end of the socket is closed: this does not block.
    Report report;
    if (::recv(control_.get(), &report, sizeof report, MSG_DONTWAIT) !=
        static_cast<ssize_t>(sizeof report)) {
        end.exec_errno = end.exec_errno == ECHILD ? 0 : end.exec_errno; // The keeper was killed.
        end.signal = SIGKILL;
        return end;
    }
    if (WIFEXITED(report.status)) {
        end.exit_status = WEXITSTATUS(report.status);
    } else {
        end.signal = WTERMSIG(report.status);
    }
    return end;
}

void ProcessKeeper::kill_cgroup() const {
    if (!cgroup_.empty()) {
        std::ofstream(cgroup_ / "cgroup.kill") << "1";
    }
}

} // namespace slipway::agent
