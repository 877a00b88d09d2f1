#include "agent/io/daemon.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <list>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <systemd/sd-daemon.h>
#include <thread>
#include <unistd.h>

#include "agent/core/daemon_status.h"
#include "agent/core/install_state.h"
#include "agent/io/daemon_sockets.h"
#include "agent/io/journal.h"
#include "agent/io/service_actions.h"
#include "common/core/errc.h"
#include "common/io/log.h"

namespace slipway::agent {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How often `current` is compared with what the machine believes: people may have switched.
constexpr milliseconds look_period{2'000};
constexpr milliseconds journal_retry{1'000};

struct Ended {
    std::string service;
    Event event;
};

// What the working threads leave for the loop.
class Mailbox {
public:
    Mailbox() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
    [[nodiscard]] int fd() const { return wake_.get(); }
    void put(Ended ended) {
        {
            const std::lock_guard lock(mutex_);
            ended_.push_back(std::move(ended));
        }
        ring();
    }
    void ring() const { (void)::eventfd_write(wake_.get(), 1); }
    std::deque<Ended> take() {
        eventfd_t count = 0;
        (void)::eventfd_read(wake_.get(), &count);
        const std::lock_guard lock(mutex_);
        return std::exchange(ended_, {});
    }

private:
    Fd wake_;
    std::mutex mutex_;
    std::deque<Ended> ended_;
};

struct Job {
    std::uint64_t number = 0;
    std::atomic<bool> over = false;
    std::jthread thread; ///< Last: it is joined before the rest goes.
};

struct Service {
    explicit Service(ServiceActions made) : actions(std::move(made)) {}
    InstallState state;
    ServiceActions actions;
    std::optional<Clock::time_point> wake_at;
    std::list<Job> jobs; ///< The last is the one that is waited for; others were told to stop.
};

class Daemon {
public:
    Daemon(const DaemonOptions& options, const HostLayout& host, Journal journal, FileWatch watch,
           StatusSocket status)
        : options_(options), host_(host), journal_(std::move(journal)), watch_(std::move(watch)),
          status_(std::move(status)) {}

    void run(const std::stop_token& stop) {
        const std::stop_callback wake(stop, [this] { mailbox_.ring(); });
        start();
        (void)::sd_notify(0, "READY=1");
        while (!stop.stop_requested()) {
            turn(wait());
            // A journal that takes nothing is no progress: the service manager may try a restart.
            if (unwritten_.empty()) {
                (void)::sd_notify(0, "WATCHDOG=1");
            }
        }
        (void)::sd_notify(0, "STOPPING=1");
        log_event(LogLevel::info, "agent.stopped");
    }

private:
    void start() {
        if (!journal_.fault().empty()) {
            log_event(journal_.was_corrupt() ? LogLevel::error : LogLevel::warning,
                      "journal.damaged", {{"why", journal_.fault()}});
        }
        for (const auto& [name, value] : journal_.values()) {
            auto state = decode_install_state(as_bytes(value), "journal entry of " + name);
            if (state) {
                service(name).state = std::move(*state);
            } else {
                log_event(LogLevel::error, "journal.damaged", {{"why", describe(state.error())}});
            }
        }
        for (const auto& [name, config] : options_.config.services) {
            (void)service(name);
        }
        look();
        for (auto& [name, one] : services_) {
            act(name, one, resume(one.state));
        }
        read_desired();
        log_event(LogLevel::info, "agent.started",
                  {{"root", host_.root.string()}, {"services", std::to_string(services_.size())}});
    }

    Service& service(const std::string& name) {
        const auto found = services_.find(name);
        if (found != services_.end()) {
            return found->second;
        }
        const auto config = options_.config.services.find(name);
        return services_
            .try_emplace(name,
                         ServiceActions(host_, name,
                                        config == options_.config.services.end() ? ServiceConfig{}
                                                                                 : config->second,
                                        options_.install, options_.config.installer))
            .first->second;
    }

    struct Ready {
        bool desired = false;
        bool status = false;
    };
    Ready wait() {
        std::array<pollfd, 3> waited{
            {{mailbox_.fd(), POLLIN, 0}, {watch_.fd(), POLLIN, 0}, {status_.fd(), POLLIN, 0}}};
        (void)::poll(waited.data(), waited.size(), static_cast<int>(next_turn().count()));
        return {waited[1].revents != 0, waited[2].revents != 0};
    }

    [[nodiscard]] milliseconds next_turn() const {
        auto next = looked_at_ + look_period;
        for (const auto& [name, one] : services_) {
            next = std::min(next, one.wake_at.value_or(next));
        }
        if (!unwritten_.empty()) {
            next = std::min(next, Clock::now() + journal_retry);
        }
        const auto left = std::chrono::ceil<milliseconds>(next - Clock::now());
        return std::max(left, milliseconds(0));
    }

    void turn(Ready ready) {
        // Events that the journal could not take come first: order counts.
        auto events = std::exchange(unwritten_, {});
        std::ranges::move(mailbox_.take(), std::back_inserter(events));
        for (auto& [name, event] : events) {
            give(name, event);
        }
        for (auto& [name, one] : services_) {
            if (one.wake_at && *one.wake_at <= Clock::now()) {
                one.wake_at.reset();
                give(name, Wake{});
            }
            std::erase_if(one.jobs, [](const Job& job) { return job.over.load(); });
        }
        if (looked_at_ + look_period <= Clock::now()) {
            look();
        }
        if (ready.desired && watch_.take()) {
            read_desired();
        }
        if (ready.status) {
            status_.answer(status());
        }
    }

    void look() {
        looked_at_ = Clock::now();
        for (auto& [name, one] : services_) {
            const auto current = current_release(host_, name);
            if (!current) {
                log_event(LogLevel::error, "service.unreadable",
                          {{"service", name}, {"why", describe(current.error())}});
            } else if (*current != one.state.running) {
                give(name, Observed{*current});
            }
        }
    }

    void read_desired() {
        const auto desired =
            read_file(options_.desired, api::desired_bytes_max).and_then([&](const Bytes& bytes) {
                return api::decode_desired(bytes, options_.desired.string());
            });
        if (!desired) {
            // What was wanted before stays wanted.
            log_event(LogLevel::warning, "desired.unreadable",
                      {{"why", describe(desired.error())}});
            return;
        }
        const auto known = services_.size();
        for (const auto& [name, wanted] : desired->services) {
            (void)service(name);
        }
        if (services_.size() != known) {
            look(); // What a new one runs comes before what it should run.
        }
        for (const auto& [name, wanted] : desired->services) {
            give(name, Desire{desired->epoch, wanted});
        }
    }

    void give(const std::string& name, const Event& event) {
        auto& one = service(name);
        const auto now = std::chrono::duration_cast<std::chrono::seconds>(
            std::chrono::system_clock::now().time_since_epoch());
        auto stepped = step(machine_, one.state, event, std::max<std::int64_t>(0, now.count()));
        if (stepped.state != one.state) {
            const auto kept = journal_.put(name, encode_install_state(stepped.state));
            if (!kept) {
                log_event(LogLevel::error, "journal.failed",
                          {{"service", name}, {"why", describe(kept.error())}});
                unwritten_.push_back({name, event});
                return;
            }
            one.state = std::move(stepped.state);
        }
        act(name, one, stepped.actions);
    }

    void act(const std::string& name, Service& one, const std::vector<Action>& actions) {
        for (const auto& action : actions) {
            if (const auto* perform = std::get_if<Perform>(&action)) {
                begin(name, one, *perform);
            } else if (const auto* abandoned = std::get_if<Abandon>(&action)) {
                for (auto& job : one.jobs) {
                    if (job.number == abandoned->number) {
                        job.thread.request_stop();
                    }
                }
            } else if (const auto* waits = std::get_if<Wait>(&action)) {
                one.wake_at = Clock::now() + waits->delay;
            } else if (const auto* report = std::get_if<Report>(&action)) {
                log_event(report->why.empty() ? LogLevel::info : LogLevel::warning, "service.state",
                          {{"service", name},
                           {"state", report->kind},
                           {"release", report->release ? report->release->id().text : ""},
                           {"why", report->why}});
            }
        }
    }

    void begin(const std::string& name, Service& one, const Perform& action) {
        one.wake_at.reset();
        // resume() may ask for what was begun already by an event before it.
        if (std::ranges::any_of(one.jobs,
                                [&](const Job& job) { return job.number == action.number; })) {
            return;
        }
        auto& job = one.jobs.emplace_back();
        job.number = action.number;
        job.thread = std::jthread(
            [this, &job, name, action, actions = one.actions](const std::stop_token& stop) mutable {
                auto event = actions.perform(action, stop);
                job.over = true;
                if (!stop.stop_requested()) {
                    mailbox_.put({name, std::move(event)});
                }
            });
    }

    [[nodiscard]] std::string status() const {
        std::map<std::string, ServiceView> views;
        for (const auto& [name, one] : services_) {
            auto& view = views[name];
            view.state = &one.state;
            if (one.wake_at) {
                const auto left = std::chrono::ceil<milliseconds>(*one.wake_at - Clock::now());
                view.waits_ms = std::max<std::int64_t>(0, left.count());
            }
        }
        return encode_daemon_status(views);
    }

    const DaemonOptions& options_;
    const HostLayout& host_;
    MachineOptions machine_{.seed = static_cast<std::uint64_t>(::gethostid())};
    Journal journal_;
    FileWatch watch_;
    StatusSocket status_;
    Mailbox mailbox_;
    std::deque<Ended> unwritten_;
    Clock::time_point looked_at_;
    std::map<std::string, Service> services_; ///< Last: its threads use the mailbox.
};

} // namespace

Result<> run_daemon(const DaemonOptions& options, const std::stop_token& stop) {
    const HostLayout host{std::filesystem::absolute(options.config.root)};
    RealFileOps files;
    if (auto made = files.make_directory(host.root); !made) {
        return made;
    }
    const auto lock = FileLock::acquire(host.root / "agent.lock", "slipway-agent run", 0);
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    auto journal = Journal::open(host.root / "journal");
    if (!journal) {
        return tl::unexpected(std::move(journal.error()));
    }
    auto watch = FileWatch::start(options.desired);
    if (!watch) {
        return tl::unexpected(std::move(watch.error()));
    }
    auto status = StatusSocket::listen(host.root / "agent.sock");
    if (!status) {
        return tl::unexpected(std::move(status.error()));
    }
    Daemon(options, host, std::move(*journal), std::move(*watch), std::move(*status)).run(stop);
    return {};
}

} // namespace slipway::agent
