#include "agent/io/daemon_loop.h"

#include <algorithm>
#include <ctime>
#include <poll.h>
#include <unistd.h>

#include "agent/core/daemon_metrics.h"
#include "agent/core/daemon_status.h"
#include "agent/core/install_state.h"
#include "agent/io/config_reload.h"
#include "agent/io/upstream_client.h"
#include "common/core/errc.h"
#include "common/io/log.h"

namespace slipway::agent {
namespace {

using std::chrono::milliseconds;

// How often `current` is compared with what the machine believes: people may have switched.
constexpr milliseconds look_period{2'000};
constexpr milliseconds journal_retry{1'000};
// Beside those of actions, which count up from 1.
constexpr std::uint64_t keep_command_number = ~std::uint64_t{0};

// Between the stop of the old release and the restart of the new one it is not the daemon's to
// start a command: hooks stand in between.
bool may_keep_command(const InstallState& state) {
    if (!state.running || !state.work || state.work->course == Course::ahead) {
        return state.running.has_value();
    }
    const auto step = state.work->step();
    return step == Step::stage || step == Step::pre_switch;
}

} // namespace

DaemonLoop::DaemonLoop(const DaemonOptions& options, const HostLayout& host, Parts parts)
    : options_(options), config_(options.config), host_(host),
      machine_{.seed = static_cast<std::uint64_t>(::gethostid())}, parts_(std::move(parts)),
      packs_(host, {.seeders = options.install.seeders,
                    .fetcher = options.install.fetcher,
                    .quota_bytes = options.config.packs_bytes_max}),
      timelines_(host) {
    parts_.listeners.push_back(&timelines_);
}

void DaemonLoop::run(const std::stop_token& stop) {
    const std::stop_callback wake(stop, [this] { mailbox_.ring(); });
    start();
    manager_.ready();
    while (!stop.stop_requested()) {
        turn(wait());
        tell_manager();
    }
    manager_.stopping();
    log_event(LogLevel::info, "agent.stopped");
}

void DaemonLoop::tell_manager() {
    manager_.status(daemon_summary(view()));
    // A journal that takes nothing is no progress, nor is a fetcher that is not heard of: the
    // service manager may try a restart. That this is reached is the loop's own progress.
    if (unwritten_.empty() && packs_.is_alive()) {
        manager_.alive();
    }
}

void DaemonLoop::start() {
    started_unix_s_ = std::time(nullptr);
    measured_at_ = Clock::now();
    load_journal();
    for (const auto& [name, config] : config_.services) {
        (void)service(name);
    }
    look();
    for (auto& [name, one] : services_) {
        for (auto* listener : parts_.listeners) {
            listener->state_changed(name, one.state);
        }
        act(name, one, resume(one.state));
    }
    for (auto* source : parts_.sources) {
        take_desired(*source);
    }
    parts_.metrics->publish(daemon_metrics(view()));
    log_event(LogLevel::info, "agent.started",
              {{"root", host_.root.string()}, {"services", std::to_string(services_.size())}});
}

void DaemonLoop::load_journal() {
    const auto& journal = parts_.journal;
    if (!journal.fault().empty()) {
        log_event(journal.was_corrupt() ? LogLevel::error : LogLevel::warning, "journal.damaged",
                  {{"why", journal.fault()}});
    }
    for (const auto& [name, value] : journal.values()) {
        auto state = decode_install_state(as_bytes(value), "journal entry of " + name);
        if (state) {
            service(name).state = std::move(*state);
        } else {
            log_event(LogLevel::error, "journal.damaged", {{"why", describe(state.error())}});
        }
    }
}

DaemonLoop::Service& DaemonLoop::service(const std::string& name) {
    const auto [found, is_new] = services_.try_emplace(name);
    auto& one = found->second;
    if (is_new) {
        one.command = std::make_unique<ServiceCommand>();
        one.actions = make_actions(name, *one.command);
        one.jobs = std::make_unique<ServiceJobs>();
    }
    return one;
}

std::unique_ptr<ServiceActions> DaemonLoop::make_actions(const std::string& name,
                                                         ServiceCommand& command) {
    const auto config = config_.services.find(name);
    return std::make_unique<ServiceActions>(
        ServiceParts{.host = host_,
                     .name = name,
                     .config = config == config_.services.end() ? ServiceConfig{} : config->second,
                     .install = options_.install,
                     .installer = options_.config.installer,
                     .command = command,
                     .packs = packs_,
                     .timelines = timelines_,
                     .hook_cgroups = parts_.hook_cgroups});
}

DaemonLoop::Ready DaemonLoop::wait() {
    const int reload = options_.reload != nullptr ? options_.reload->fd() : -1; // -1: ignored.
    std::vector<pollfd> waited{
        {mailbox_.fd(), POLLIN, 0}, {parts_.status.fd(), POLLIN, 0}, {reload, POLLIN, 0}};
    const auto first_source = waited.size();
    for (const auto* source : parts_.sources) {
        waited.push_back({source->fd(), POLLIN, 0});
    }
    (void)::poll(waited.data(), waited.size(), static_cast<int>(next_turn().count()));
    Ready ready{.sources = {}, .status = waited[1].revents != 0, .reload = waited[2].revents != 0};
    for (std::size_t i = 0; i < parts_.sources.size(); ++i) {
        if (waited[first_source + i].revents != 0) {
            ready.sources.push_back(parts_.sources[i]);
        }
    }
    return ready;
}

milliseconds DaemonLoop::next_turn() const {
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

void DaemonLoop::turn(const Ready& ready) {
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
        one.jobs->sweep();
    }
    if (looked_at_ + look_period <= Clock::now()) {
        measure_rates();
        look();
        parts_.metrics->publish(daemon_metrics(view()));
    }
    if (ready.reload) {
        reload_config();
    }
    for (auto* source : ready.sources) {
        take_desired(*source);
    }
    if (ready.status) {
        auto told = view();
        for (auto& [name, service] : told.services) {
            service.installation = timelines_.last(name);
        }
        parts_.status.answer(encode_daemon_status(told));
    }
}

void DaemonLoop::look() {
    looked_at_ = Clock::now();
    limit_transfers();
    for (auto& [name, one] : services_) {
        const auto current = current_release(host_, name);
        if (!current) {
            log_event(LogLevel::error, "service.unreadable",
                      {{"service", name}, {"why", describe(current.error())}});
        } else if (*current != one.state.running) {
            give(name, Observed{*current});
        }
        keep_command(name, one);
        collect(name, one);
    }
}

// By the host's clock and zone: the limits are for people's hours.
void DaemonLoop::limit_transfers() {
    const auto now = std::time(nullptr);
    std::tm local{};
    if (::localtime_r(&now, &local) != nullptr) {
        const auto day = static_cast<unsigned>((local.tm_wday + 6) % 7); // tm_wday: 0 is Sunday.
        packs_.set_limits(
            rates_at(config_.limits, day * minutes_a_day +
                                         static_cast<unsigned>(local.tm_hour * 60 + local.tm_min)));
    }
}

void DaemonLoop::keep_command(const std::string& name, Service& one) {
    if (!may_keep_command(one.state)) {
        return;
    }
    one.jobs->begin(keep_command_number, name, mailbox_,
                    [name, actions = *one.actions, upstream = parts_.upstream](
                        const std::stop_token& /*stop*/) mutable -> std::optional<Event> {
                        if (const auto kept = actions.keep_command(); !kept) {
                            log_event(LogLevel::warning, "service.command",
                                      {{"service", name}, {"why", describe(kept.error())}});
                        }
                        // Asking systemd is not free, so only where somebody is told.
                        if (upstream != nullptr) {
                            upstream->health_seen(name, actions.health());
                        }
                        return std::nullopt;
                    });
}

void DaemonLoop::take_desired(DesiredSource& source) {
    const auto taken = source.take();
    if (!taken) {
        return;
    }
    const auto& desired = *taken;
    if (!desired) {
        // What was wanted before stays wanted.
        log_event(LogLevel::warning, "desired.unreadable", {{"why", describe(desired.error())}});
        return;
    }
    const auto known = services_.size();
    for (const auto& [name, wanted] : desired->services) {
        (void)service(name);
    }
    if (services_.size() != known) {
        look(); // What a new one runs comes before what it should run.
    }
    const auto unwritten = unwritten_.size();
    for (const auto& [name, wanted] : desired->services) {
        give(name, Desire{desired->epoch, wanted, desired->generation});
    }
    if (unwritten_.size() == unwritten) {
        source.obeyed(*desired);
    }
}

void DaemonLoop::give(const std::string& name, const Event& event) {
    auto& one = service(name);
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::system_clock::now().time_since_epoch());
    auto stepped = step(machine_, one.state, event, std::max<std::int64_t>(0, now.count()));
    if (stepped.state != one.state) {
        const auto kept = parts_.journal.put(name, encode_install_state(stepped.state));
        if (!kept) {
            log_event(LogLevel::error, "journal.failed",
                      {{"service", name}, {"why", describe(kept.error())}});
            unwritten_.push_back({name, event});
            return;
        }
        one.state = std::move(stepped.state);
        for (auto* listener : parts_.listeners) {
            listener->state_changed(name, one.state);
        }
    }
    act(name, one, stepped.actions);
}

void DaemonLoop::act(const std::string& name, Service& one, const std::vector<Action>& actions) {
    for (const auto& action : actions) {
        if (const auto* perform = std::get_if<Perform>(&action)) {
            begin(name, one, *perform);
        } else if (const auto* abandoned = std::get_if<Abandon>(&action)) {
            one.jobs->abandon(abandoned->number);
        } else if (const auto* waits = std::get_if<Wait>(&action)) {
            one.wake_at = Clock::now() + waits->delay;
        } else if (const auto* told = std::get_if<Report>(&action)) {
            report(name, *told);
        }
    }
}

void DaemonLoop::begin(const std::string& name, Service& one, const Perform& action) {
    one.wake_at.reset();
    // resume() may ask for what was begun already by an event before it.
    one.jobs->begin(action.number, name, mailbox_,
                    [action, actions = *one.actions](const std::stop_token& stop) mutable
                        -> std::optional<Event> { return actions.perform(action, stop); });
}

void DaemonLoop::report(const std::string& name, const Report& report) const {
    log_event(report.why.empty() ? LogLevel::info : LogLevel::warning, "service.state",
              {{"service", name},
               {"state", report.kind},
               {"release", report.release ? report.release->id().text : ""},
               {"why", report.why}});
    for (auto* listener : parts_.listeners) {
        listener->reported(name, report);
    }
}

void DaemonLoop::measure_rates() {
    const auto now = Clock::now();
    const auto sharing = packs_.status();
    const std::chrono::duration<double> passed = now - measured_at_;
    const auto rate = [&](std::uint64_t before, std::uint64_t after) {
        return static_cast<std::uint64_t>(static_cast<double>(after - before) / passed.count());
    };
    rates_ = {rate(measured_.uploaded_bytes, sharing.uploaded_bytes),
              rate(measured_.downloaded_bytes, sharing.downloaded_bytes)};
    measured_ = sharing;
    measured_at_ = now;
}

DaemonView DaemonLoop::view() const {
    DaemonView view{.version = SLIPWAY_VERSION,
                    .started_unix_s = started_unix_s_,
                    .sharing = packs_.status(),
                    .rates = rates_,
                    .services = {}};
    if (parts_.upstream != nullptr) {
        view.upstream = parts_.upstream->status();
    }
    for (const auto& [name, one] : services_) {
        auto& service = view.services[name];
        service.state = &one.state;
        if (one.wake_at) {
            const auto left = std::chrono::ceil<milliseconds>(*one.wake_at - Clock::now());
            service.waits_ms = std::max<std::int64_t>(0, left.count());
        }
    }
    return view;
}

} // namespace slipway::agent
