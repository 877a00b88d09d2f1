#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "agent/core/agent_config.h"
#include "agent/core/install_machine.h"
#include "agent/core/installer_protocol.h"
#include "agent/core/probe_verdict.h"
#include "agent/core/upstream_report.h"
#include "agent/io/hook_runner.h"
#include "agent/io/host_install.h"
#include "agent/io/host_layout.h"
#include "agent/io/installer_client.h"
#include "agent/io/service_command.h"
#include "agent/io/timeline_book.h"

namespace slipway::agent {

/// What the actions of one service work with.
struct ServiceParts {
    const HostLayout& host;
    std::string name;
    ServiceConfig config;
    InstallRequest install;          ///< What `stage` asks the network with.
    std::filesystem::path installer; ///< Socket of slipway-installer; empty: this process installs.
    ServiceCommand& command;
    SharedPacks& packs;
    TimelineBook& timelines;
    std::filesystem::path hook_cgroups = {}; ///< See HookRunner.
};

/// Performs the actions that a service's machine asks for. Each may be performed again after a
/// crash. Blocking: from milliseconds (switch) to minutes (stage, bake).
class ServiceActions {
public:
    /// What `parts` refers to must outlive it.
    explicit ServiceActions(ServiceParts parts);

    /// Ends in Done or Failed with the action's number.
    [[nodiscard]] Event perform(const Perform& action, const std::stop_token& stop);

    /// Removes releases beyond current, previous, those of `needed` and `keep_more` others. Gives
    /// how many went.
    [[nodiscard]] Result<std::size_t> collect(const std::vector<ReleaseId>& needed,
                                              std::size_t keep_more);

    /// Has the command of the release that is current run, if it has one: commands end with the
    /// daemon, and `current` may be switched by hand. Errors: the release cannot be read, or its
    /// command not be started.
    [[nodiscard]] Result<> keep_command();
    /// How the command or the unit of the release that is current does; what cannot be seen counts
    /// as fine. Blocking for a call of systemd.
    [[nodiscard]] ServiceHealth health() const;

private:
    [[nodiscard]] Result<std::optional<Release>> run(const Perform& action,
                                                     const std::stop_token& stop);
    [[nodiscard]] Result<std::optional<Release>> stage(const api::Wanted& wanted,
                                                       const std::stop_token& stop);
    [[nodiscard]] Result<std::optional<Release>> stage_for_installer(HostInstall& network,
                                                                     Progress& progress,
                                                                     const InstallRequest& request,
                                                                     const std::stop_token& stop);
    void note_limits(StageTimes& times) const;
    [[nodiscard]] Result<InstallerReply>
    ask_installer(InstallerRequest request, const std::stop_token& stop,
                  const InstallerClient::OnProgress& on_progress = {}) const;
    [[nodiscard]] std::optional<Release> installed(const api::Wanted& wanted,
                                                   const std::stop_token& stop);
    [[nodiscard]] Result<> switch_to(const Release& release);
    [[nodiscard]] Result<RunSpec> spec_of(const Release& release) const;
    [[nodiscard]] std::map<std::string, std::string> variables(const Release& release) const;
    [[nodiscard]] Result<> hook(Hook hook, const Release& release, const std::stop_token& stop);
    [[nodiscard]] Result<> hook_of_outgoing(Hook hook, const Release& incoming,
                                            const std::stop_token& stop);
    [[nodiscard]] Result<> restart(const Release& release, const std::stop_token& stop);
    [[nodiscard]] Result<> hold(const Release& release, bool bake, const std::stop_token& stop);
    [[nodiscard]] SupervisedCommand command_of(const RunSpec& spec, const Release& release) const;
    void see_unit(const RunSpec& spec, ProbeVerdict& verdict) const;

    ServiceParts parts_;
    HookRunner hooks_;
};

/// The release that `current` names, as its record says.
[[nodiscard]] Result<std::optional<Release>> current_release(const HostLayout& host,
                                                             const std::string& service);

} // namespace slipway::agent
