#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/core/daemon_status.h"
#include "agent/core/install_machine.h"
#include "agent/io/daemon.h"
#include "agent/io/daemon_sockets.h"
#include "agent/io/desired_source.h"
#include "agent/io/journal.h"
#include "agent/io/metrics_server.h"
#include "agent/io/service_actions.h"
#include "agent/io/service_command.h"
#include "agent/io/service_jobs.h"
#include "agent/io/service_manager.h"

namespace slipway::agent {

class UpstreamClient;

/// The loop of the daemon, and all that it knows: one thread that waits for events, gives them to
/// the machines of the services, keeps in the journal what they decided, and has it done by the
/// services' jobs. It never works itself, and waits for nothing but the next event.
class DaemonLoop {
public:
    struct Parts {
        Journal journal;
        StatusSocket status;
        std::unique_ptr<MetricsServer> metrics;
        std::filesystem::path hook_cgroups;
        std::vector<DesiredSource*> sources;
        std::vector<DaemonListener*> listeners;
        UpstreamClient* upstream =
            nullptr; ///< Also a source and a listener; none: no orchestrator.
    };
    /// `options`, `host`, sources, listeners and upstream must outlive it.
    DaemonLoop(const DaemonOptions& options, const HostLayout& host, Parts parts);

    /// Until a stop is requested.
    void run(const std::stop_token& stop);

private:
    using Clock = std::chrono::steady_clock;

    struct Service {
        InstallState state;
        std::unique_ptr<ServiceCommand> command;
        std::unique_ptr<ServiceActions> actions;
        std::optional<Clock::time_point> wake_at;
        std::vector<ReleaseId> collected_for; ///< What was needed when releases went last.
        std::unique_ptr<ServiceJobs> jobs;    ///< Last: its threads use the others.
    };
    struct Ready {
        std::vector<DesiredSource*> sources;
        bool status = false;
        bool reload = false;
    };

    void start();
    void load_journal();
    [[nodiscard]] Service& service(const std::string& name);
    [[nodiscard]] Ready wait();
    [[nodiscard]] std::chrono::milliseconds next_turn() const;
    void turn(const Ready& ready);
    void look();
    void limit_transfers();
    void reload_config();
    void apply(AgentConfig config);
    [[nodiscard]] std::unique_ptr<ServiceActions> make_actions(const std::string& name,
                                                               ServiceCommand& command);
    void tell_manager();
    void keep_command(const std::string& name, Service& one);
    void collect(const std::string& name, Service& one);
    void take_desired(DesiredSource& source);
    void give(const std::string& name, const Event& event);
    void act(const std::string& name, Service& one, const std::vector<Action>& actions);
    void begin(const std::string& name, Service& one, const Perform& action);
    void report(const std::string& name, const Report& report) const;
    void measure_rates();
    [[nodiscard]] DaemonView view() const;

    const DaemonOptions& options_;
    AgentConfig config_; ///< As it was read last.
    const HostLayout& host_;
    MachineOptions machine_;
    Parts parts_;
    Mailbox mailbox_;
    ServiceManager manager_;
    std::deque<Ended> unwritten_; ///< What the journal could not take yet.
    Clock::time_point looked_at_;
    std::int64_t started_unix_s_ = 0;
    SharingStatus measured_; ///< What rates are measured from,
    Clock::time_point measured_at_;
    Rates rates_; ///< and those between the last two looks.
    SharedPacks packs_;
    TimelineBook timelines_;
    std::map<std::string, Service> services_; ///< Last: its threads use the mailbox.
};

} // namespace slipway::agent
