#include "agent/io/hook_runner.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <thread>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/io/process_keeper.h"
#include "common/core/errc.h"
#include "common/io/file_ops.h"

namespace slipway::agent {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto term_grace = 2s; // From TERM to KILL.
constexpr auto kill_grace = 1s; // From KILL to killing from outside.
constexpr std::size_t message_output_bytes = 512;

/// A cgroup for one run; removed when the run is over.
class RunCgroup {
public:
    static Result<RunCgroup> make(const std::filesystem::path& parent, const RunProgram& limits) {
        RunCgroup group;
        if (parent.empty()) {
            return group;
        }
        auto pattern = (parent / "hook-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            return fail_errno("make a cgroup in " + parent.string());
        }
        group.path_ = pattern;
        group.set("memory.max", limits.memory_bytes);
        group.set("memory.swap.max", 0);
        group.set("memory.oom.group", 1);
        group.set("pids.max", limits.tasks);
        return group;
    }
    RunCgroup() = default;
    RunCgroup(RunCgroup&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    RunCgroup& operator=(RunCgroup&&) = delete;
    RunCgroup(const RunCgroup&) = delete;
    RunCgroup& operator=(const RunCgroup&) = delete;
    ~RunCgroup() {
        // Its processes are gone, but the kernel may be a moment behind.
        for (int round = 0; !path_.empty() && ::rmdir(path_.c_str()) != 0 && round < 100; ++round) {
            std::this_thread::sleep_for(10ms);
        }
    }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] bool limits_memory() const {
        return !path_.empty() && ::access((path_ / "memory.max").c_str(), W_OK) == 0;
    }

private:
    // A controller that is not enabled here has no file; the other limits stand in for it.
    void set(const char* file, std::uint64_t value) const {
        if (::access((path_ / file).c_str(), W_OK) == 0) {
            std::ofstream(path_ / file) << value;
        }
    }
    std::filesystem::path path_;
};

/// The last bytes of what was written.
class Tail {
public:
    explicit Tail(std::size_t limit) : limit_(limit) {}
    void add(std::string_view text) {
        total_ += text.size();
        kept_.append(text.substr(text.size() - std::min(text.size(), limit_)));
        if (kept_.size() > limit_ * 2) {
            trim();
        }
    }
    [[nodiscard]] std::string take() {
        trim();
        return std::move(kept_);
    }
    [[nodiscard]] std::uint64_t total() const { return total_; }

private:
    void trim() { kept_.erase(0, kept_.size() - std::min(kept_.size(), limit_)); }
    std::size_t limit_;
    std::string kept_;
    std::uint64_t total_ = 0;
};

std::vector<std::string> environment_of(const HookRequest& request) {
    std::vector<std::string> out{
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/",
        "LANG=C.UTF-8",
        "SLIPWAY_HOOK=" + request.name,
        "SLIPWAY_RELEASE_DIR=" + request.release.string(),
    };
    for (const auto& [name, value] : request.variables) {
        out.push_back(std::string(name).append("=").append(value));
    }
    return out;
}

/// Follows one run to its end: output, deadline, stop request.
class Run {
public:
    Run(ProcessKeeper& keeper, const HookRequest& request, std::stop_token stop)
        : keeper_(keeper), tail_(request.program.output_bytes), stop_(std::move(stop)),
          wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
          deadline_(Clock::now() + request.program.deadline) {}

    void follow() {
        const std::stop_callback on_stop{stop_, [this] {
                                             const std::uint64_t one = 1;
                                             (void)!::write(wake_.get(), &one, sizeof one);
                                         }};
        while (!step()) {
        }
        drain();
    }
    [[nodiscard]] bool timed_out() const { return ended_ && !cancelled_; }
    [[nodiscard]] bool cancelled() const { return cancelled_; }
    [[nodiscard]] Tail& tail() { return tail_; }

private:
    /// Waits for what comes next; true when nothing of the hook is left.
    bool step() {
        std::array<pollfd, 3> waits{{
            {.fd = keeper_.gone(), .events = POLLIN, .revents = 0},
            {.fd = output_open_ ? keeper_.output() : -1, .events = POLLIN, .revents = 0},
            {.fd = cancelled_ ? -1 : wake_.get(), .events = POLLIN, .revents = 0},
        }};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now());
        ::poll(waits.data(), waits.size(),
               static_cast<int>(std::max<std::int64_t>(0, left.count())));
        if (waits[2].revents != 0 && !ended_) {
            cancelled_ = true;
            deadline_ = Clock::now();
        }
        if (waits[1].revents != 0) {
            read_some();
        }
        if (Clock::now() >= deadline_) {
            next_measure();
        }
        return waits[0].revents != 0;
    }
    void next_measure() {
        ended_ = true;
        if (measure_ == 0) {
            keeper_.terminate();
            deadline_ += term_grace;
        } else if (measure_ == 1) {
            keeper_.kill();
            deadline_ += kill_grace;
        } else {
            keeper_.force();
            deadline_ = Clock::now() + kill_grace;
        }
        ++measure_;
    }
    /// False when there is no more for now.
    bool read_some() {
        std::array<char, 16384> buffer{};
        const auto got = ::read(keeper_.output(), buffer.data(), buffer.size());
        output_open_ = got > 0 || (got < 0 && errno == EAGAIN);
        if (got > 0) {
            tail_.add({buffer.data(), static_cast<std::size_t>(got)});
        }
        return got > 0;
    }
    // Only what is in the pipe: its other end may be held by a process that we do not know.
    void drain() {
        for (int round = 0; round < 64 && read_some(); ++round) {
        }
    }

    ProcessKeeper& keeper_;
    Tail tail_;
    std::stop_token stop_;
    Fd wake_;
    Clock::time_point deadline_;
    int measure_ = 0;
    bool ended_ = false;
    bool cancelled_ = false;
    bool output_open_ = true;
};

std::string message_of(const HookRequest& request, const HookOutcome& outcome,
                       const ProcessEnd& end) {
    auto text = "hook " + request.name + " (" + request.program.argv.front() + "): ";
    if (outcome.timed_out) {
        text += "ended after its deadline of " + duration_text(request.program.deadline);
    } else if (end.exit_status) {
        text += "exit status " + std::to_string(*end.exit_status);
    } else {
        text +=
            "ended by signal " + std::to_string(end.signal) + " (" + ::strsignal(end.signal) + ")";
    }
    if (!outcome.ok && !outcome.output.empty()) {
        const auto from =
            outcome.output.size() - std::min(outcome.output.size(), message_output_bytes);
        text += "; last output: " + printable(outcome.output.substr(from));
    }
    return text;
}

} // namespace

HookRunner::HookRunner(std::filesystem::path cgroups) : cgroups_(std::move(cgroups)) {}

Result<HookOutcome> HookRunner::run(const HookRequest& request, std::stop_token stop) const {
    const auto what = "hook " + request.name + " (" + request.program.argv.front() + ")";
    if (stop.stop_requested()) {
        return fail(Errc::cancelled, what);
    }
    const auto group = RunCgroup::make(cgroups_, request.program);
    if (!group) {
        return tl::unexpected(within(what, group.error()));
    }
    const auto started = Clock::now();
    auto keeper = ProcessKeeper::start(
        {.argv = request.program.argv,
         .environment = environment_of(request),
         .directory = request.release,
         .memory_bytes = group->limits_memory() ? 0 : request.program.memory_bytes,
         .tasks = request.program.tasks,
         .cgroup = group->path()});
    if (!keeper) {
        return tl::unexpected(within(what, keeper.error()));
    }
    Run run(*keeper, request, std::move(stop));
    run.follow();
    const auto end = keeper->reap();
    if (end.exec_errno != 0) {
        return fail(std::error_code(end.exec_errno, std::generic_category()),
                    what + ": start it in " + request.release.string());
    }
    if (run.cancelled()) {
        return fail(Errc::cancelled, what);
    }
    HookOutcome outcome;
    outcome.timed_out = run.timed_out();
    outcome.exit_status = end.exit_status.value_or(-1);
    outcome.ok = outcome.exit_status == 0 && !outcome.timed_out;
    outcome.output_bytes = run.tail().total();
    outcome.output = run.tail().take();
    outcome.took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started);
    outcome.message = message_of(request, outcome, end);
    return outcome;
}

} // namespace slipway::agent
