// What DaemonLoop does when its configuration is to be read again.
#include "agent/core/daemon_status.h"
#include "agent/io/config_reload.h"
#include "agent/io/daemon_loop.h"
#include "common/core/errc.h"
#include "common/io/log.h"

namespace slipway::agent {
namespace {

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const auto& name : names) {
        text += (text.empty() ? "" : ",") + name;
    }
    return text;
}

} // namespace

void DaemonLoop::reload_config() {
    manager_.begin_reload();
    if (auto read = options_.reload->take(); read && *read) {
        apply(std::move(**read));
    } else if (read) {
        log_event(LogLevel::error, "config.refused", {{"why", describe(read->error())}});
    }
    manager_.ready();
}

void DaemonLoop::apply(AgentConfig config) {
    const auto change = compare(config_, config);
    config_.limits = config.limits;
    config_.packs_bytes_max = config.packs_bytes_max;
    config_.releases_kept = config.releases_kept;
    config_.services = std::move(config.services);
    packs_.set_quota(config_.packs_bytes_max);
    limit_transfers();
    for (const auto& name : change.services) {
        // Steps that are being done end as they began: each has its own copy.
        auto& one = service(name);
        one.actions = make_actions(name, *one.command);
    }
    log_event(
        LogLevel::info, "config.reloaded",
        {{"limits", change.limits ? "changed" : "same"}, {"services", joined(change.services)}});
    for (const auto& key : change.restart) {
        log_event(LogLevel::warning, "config.needs_restart", {{"key", key}});
    }
}

} // namespace slipway::agent
