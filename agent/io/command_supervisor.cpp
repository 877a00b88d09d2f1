#include "agent/io/command_supervisor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <optional>
#include <thread>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/io/process_keeper.h"
#include "common/core/errc.h"
#include "common/io/log.h"

namespace slipway::agent {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t line_bytes_max = 2048;

std::string end_text(const ProcessEnd& end) {
    return end.exit_status ? "exit status " + std::to_string(*end.exit_status)
                           : "signal " + std::to_string(end.signal);
}

ProcessRequest request_of(const SupervisedCommand& command) {
    ProcessRequest request{.argv = command.command.argv,
                           .environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
                                           "/usr/bin:/sbin:/bin",
                                           "HOME=/", "LANG=C.UTF-8",
                                           "SLIPWAY_RELEASE_DIR=" + command.release.string()},
                           .directory = command.release};
    for (const auto& [name, value] : command.variables) {
        request.environment.push_back(std::string(name).append("=").append(value));
    }
    return request;
}

bool readable(int fd, std::chrono::milliseconds wait) {
    pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&one, 1, static_cast<int>(wait.count())) > 0;
}

} // namespace

struct CommandSupervisor::State {
    mutable std::mutex mutex; ///< Of `health`.
    UnitHealth health{.failed = true, .restarts = 0, .detail = "not started"};
    std::mutex calls; ///< One start() or stop() at a time.
    SupervisedCommand command;
    std::string line; ///< Output that did not end in a line end yet.
    std::jthread thread;

    void set(bool failed, bool ended, std::string detail) {
        const std::lock_guard lock(mutex);
        health.failed = failed;
        health.restarts += ended ? 1 : 0;
        health.detail = command.service + ": " + std::move(detail);
    }

    void log_line() {
        log_event(LogLevel::info, "service.output", {{"service", command.service}, {"line", line}});
        line.clear();
    }

    /// Takes what there is of output; false at its end.
    bool take_output(const ProcessKeeper& keeper) {
        std::array<char, 4096> buffer{};
        const auto got = ::read(keeper.output(), buffer.data(), buffer.size());
        for (ssize_t at = 0; at < got; ++at) {
            const char c = buffer.at(static_cast<std::size_t>(at));
            if (c != '\n') {
                line += c;
            }
            if (c == '\n' || line.size() >= line_bytes_max) {
                log_line();
            }
        }
        return got > 0 || (got < 0 && errno == EAGAIN);
    }

    void end_it(ProcessKeeper& keeper) const {
        keeper.terminate();
        // Output is not read meanwhile; a command that blocks on it is killed at the end.
        if (!readable(keeper.gone(), command.command.stop_timeout)) {
            keeper.kill();
            if (!readable(keeper.gone(), 1s)) {
                keeper.force();
            }
        }
    }

    /// Follows one run to its end.
    ProcessEnd follow(ProcessKeeper& keeper, int wake) {
        bool open = true;
        for (;;) {
            std::array<pollfd, 3> waits{
                {{.fd = keeper.gone(), .events = POLLIN, .revents = 0},
                 {.fd = open ? keeper.output() : -1, .events = POLLIN, .revents = 0},
                 {.fd = wake, .events = POLLIN, .revents = 0}}};
            ::poll(waits.data(), waits.size(), -1);
            if (waits[1].revents != 0) {
                open = take_output(keeper);
            }
            if (waits[2].revents != 0) {
                end_it(keeper);
                return keeper.reap();
            }
            if (waits[0].revents != 0) {
                for (int round = 0;
                     round < 64 && readable(keeper.output(), 0ms) && take_output(keeper); ++round) {
                }
                return keeper.reap();
            }
        }
    }

    void run(ProcessKeeper first, const std::stop_token& stop) {
        const Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        const std::stop_callback on_stop{stop, [&wake] {
                                             const std::uint64_t one = 1;
                                             (void)!::write(wake.get(), &one, sizeof one);
                                         }};
        std::optional<ProcessKeeper> keeper(std::move(first));
        auto pause = command.backoff;
        for (;;) {
            const auto started = Clock::now();
            std::string why = "cannot be started";
            if (keeper) {
                why = end_text(follow(*keeper, wake.get()));
            }
            if (!line.empty()) {
                log_line();
            }
            if (stop.stop_requested()) {
                return set(true, false, "stopped");
            }
            if (Clock::now() - started >= command.backoff_max) {
                pause = command.backoff;
            }
            set(false, true, "ended (" + why + "), starts again in " + duration_text(pause));
            log_event(
                LogLevel::warning, "service.ended",
                {{"service", command.service}, {"why", why}, {"restart_in", duration_text(pause)}});
            if (readable(wake.get(), pause)) {
                return set(true, false, "stopped");
            }
            pause = std::min(pause * 2, command.backoff_max);
            keeper.reset();
            if (auto next = ProcessKeeper::start(request_of(command)); next) {
                keeper.emplace(std::move(*next));
            }
        }
    }
};

CommandSupervisor::CommandSupervisor() : state_(std::make_unique<State>()) {}
CommandSupervisor::~CommandSupervisor() {
    stop();
}

Result<> CommandSupervisor::start(SupervisedCommand command) {
    stop();
    const std::lock_guard lock(state_->calls);
    const auto what = "start " + command.command.argv.front() + " of " + command.service;
    state_->command = std::move(command);
    auto keeper = ProcessKeeper::start(request_of(state_->command));
    if (!keeper) {
        return tl::unexpected(within(what, keeper.error()));
    }
    if (const int failed = keeper->wait_started(); failed != 0) {
        return fail(std::error_code(failed, std::generic_category()), what);
    }
    state_->set(false, false, "runs");
    state_->thread = std::jthread(
        [state = state_.get(), first = std::move(*keeper)](const std::stop_token& stop) mutable {
            state->run(std::move(first), stop);
        });
    return {};
}

void CommandSupervisor::stop() {
    const std::lock_guard lock(state_->calls);
    if (state_->thread.joinable()) {
        state_->thread.request_stop();
        state_->thread.join();
        state_->thread = {};
    }
}

UnitHealth CommandSupervisor::health() const {
    const std::lock_guard lock(state_->mutex);
    return state_->health;
}

} // namespace slipway::agent
