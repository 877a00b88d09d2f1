// What DaemonLoop does of itself while a service has nothing to do.
#include "agent/io/daemon_loop.h"
#include "common/core/errc.h"
#include "common/io/log.h"

namespace slipway::agent {
namespace {

constexpr std::uint64_t collect_number = ~std::uint64_t{0} - 1; // Beside those of actions.

// What a way back, or an order that is known, may ask for.
std::vector<ReleaseId> needed_by(const InstallState& state) {
    std::vector<ReleaseId> needed;
    for (const auto& release : {state.running, state.good}) {
        if (release) {
            needed.push_back(release->id());
        }
    }
    for (const auto& release : state.staged) {
        needed.push_back(release.id());
    }
    return needed;
}

} // namespace

// Old releases go when a service has come to rest with others than before.
void DaemonLoop::collect(const std::string& name, Service& one) {
    auto needed = needed_by(one.state);
    if (one.state.work || needed.empty() || needed == one.collected_for) {
        return;
    }
    one.collected_for = needed;
    one.jobs->begin(
        collect_number, name, mailbox_,
        [name, needed = std::move(needed), keep = config_.releases_kept,
         actions = *one.actions](const std::stop_token& /*stop*/) mutable -> std::optional<Event> {
            const auto removed = actions.collect(needed, keep);
            if (!removed) {
                log_event(LogLevel::warning, "releases.kept",
                          {{"service", name}, {"why", describe(removed.error())}});
            } else if (*removed > 0) {
                log_event(LogLevel::info, "releases.removed",
                          {{"service", name}, {"count", std::to_string(*removed)}});
            }
            return std::nullopt;
        });
}

} // namespace slipway::agent
