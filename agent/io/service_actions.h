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
#include "agent/io/hook_runner.h"
#include "agent/io/host_install.h"
#include "agent/io/host_layout.h"

namespace slipway::agent {

/// Performs the actions that a service's machine asks for. Each may be performed again after a
/// crash. Blocking: from milliseconds (switch) to minutes (stage, bake).
class ServiceActions {
public:
    /// `host` must outlive it. `install` is what `stage` asks the network with. `installer`: the
    /// socket of slipway-installer, which builds and switches; empty: this process does.
    ServiceActions(const HostLayout& host, std::string service, ServiceConfig config,
                   InstallRequest install, std::filesystem::path installer);

    /// Ends in Done or Failed with the action's number.
    [[nodiscard]] Event perform(const Perform& action, const std::stop_token& stop);

private:
    [[nodiscard]] Result<std::optional<Release>> run(const Perform& action,
                                                     const std::stop_token& stop);
    [[nodiscard]] Result<std::optional<Release>> stage(const api::Wanted& wanted,
                                                       const std::stop_token& stop);
    [[nodiscard]] Result<std::optional<Release>> stage_for_installer(const InstallRequest& request,
                                                                     const std::stop_token& stop);
    [[nodiscard]] Result<InstallerReply> ask_installer(InstallerRequest request,
                                                       const std::stop_token& stop) const;
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
    static void see_unit(const RunSpec& spec, ProbeVerdict& verdict);

    const HostLayout& host_;
    std::string service_;
    ServiceConfig config_;
    InstallRequest install_;
    std::filesystem::path installer_;
    HookRunner hooks_;
};

/// The release that `current` names, as its record says.
[[nodiscard]] Result<std::optional<Release>> current_release(const HostLayout& host,
                                                             const std::string& service);

} // namespace slipway::agent
