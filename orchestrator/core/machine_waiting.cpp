#include <algorithm>

#include "common/core/errc.h"
#include "orchestrator/core/machine_internal.h"

namespace slipway::orchestrator {
namespace {

std::string counted(std::size_t count, const char* what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

bool was_ordered(HostStep step) {
    return step == HostStep::moving || step == HostStep::ready || step == HostStep::failed;
}

} // namespace

Result<Waiting> waiting_for(const FleetState& state, const std::string& id) {
    const auto found = state.log.deployments.find(id);
    if (found == state.log.deployments.end()) {
        return fail(Errc::not_found, "there is no deployment '" + id + "'");
    }
    const auto& d = found->second;
    Waiting waiting;
    const auto since = state.log.clock_ms - d.since_ms;
    const auto left = [&](Milliseconds limit) {
        return Milliseconds{std::max<std::int64_t>(limit.count() - since, 0)};
    };
    const auto wait_for_hosts = [&](auto is_waited_for) {
        for (const auto& [host, part] : d.hosts) {
            if (is_waited_for(host, part)) {
                ++waiting.hosts_in_all;
                if (waiting.hosts.size() < 20) {
                    waiting.hosts.push_back(host);
                }
            }
        }
    };
    if (is_over(d.phase)) {
        return waiting;
    }
    if (d.phase == Phase::rolling_back) {
        waiting.kind = WaitKind::going_back;
        wait_for_hosts([](const auto&, const HostProgress& part) {
            return was_ordered(part.step) || part.step == HostStep::returning;
        });
        waiting.what = counted(waiting.hosts_in_all, "host") + " to run " +
                       (d.from ? d.from->artifact.text() : "nothing") + " again";
        waiting.left = d.strategy.ready_deadline;
        const auto progress = progress_of(state, d);
        const auto under_way = progress.hosts.find(HostStep::returning);
        if (under_way == progress.hosts.end() && waiting.hosts_in_all > 0) {
            waiting.kind = WaitKind::budget;
            waiting.what += "; so many are down that no other may be";
            waiting.left.reset();
            waiting.unblock = "slipway rollback " + d.key.service + " --env " + d.key.environment +
                              " --emergency";
            waiting.needs_a_person = true;
        }
        return waiting;
    }
    if (d.paused) {
        waiting.kind = WaitKind::resume;
        waiting.what = "somebody to resume it";
        waiting.unblock = "slipway resume " + id;
        waiting.needs_a_person = true;
        return waiting;
    }
    if (const auto* freeze = freeze_of(state, d.key); freeze != nullptr) {
        waiting.kind = WaitKind::freeze;
        waiting.what = "the end of the freeze of " + freeze->scope + " by " + freeze->by;
        waiting.unblock = "slipway unfreeze " + freeze->scope;
        waiting.needs_a_person = true;
        return waiting;
    }
    switch (d.phase) {
    case Phase::staging:
        waiting.kind = WaitKind::staging;
        wait_for_hosts([&](const std::string& host, const HostProgress&) {
            return !has_staged(state, d, host);
        });
        waiting.what = counted(waiting.hosts_in_all, "host") + " to stage the release";
        waiting.left = left(d.strategy.stage_deadline);
        waiting.unblock = "slipway promote " + id;
        waiting.needs_a_person = waiting.left == Milliseconds{0};
        break;
    case Phase::moving: {
        wait_for_hosts([&](const std::string& host, const HostProgress& part) {
            return part.step == HostStep::moving && is_present(state, host);
        });
        waiting.kind = WaitKind::readiness;
        waiting.what = counted(waiting.hosts_in_all, "host") + " of batch " +
                       std::to_string(d.batch + 1) + " to be ready";
        waiting.left = left(d.strategy.ready_deadline);
        if (waiting.hosts_in_all == 0) {
            wait_for_hosts([&](const std::string& host, const HostProgress& part) {
                return part.batch <= d.batch && !is_present(state, host);
            });
            waiting.kind = waiting.hosts_in_all > 0 ? WaitKind::offline : WaitKind::budget;
            waiting.what = waiting.hosts_in_all > 0
                               ? counted(waiting.hosts_in_all, "host") + " of the batches up to " +
                                     std::to_string(d.batch + 1) + ", which are offline"
                               : std::string("hosts that are down: no other may be taken down");
            waiting.left.reset();
            waiting.needs_a_person = true;
            waiting.unblock = "slipway promote " + id;
        }
        break;
    }
    case Phase::baking: {
        const auto bake = d.strategy.bake_of(d.batches.at(d.batch).step);
        for (const auto index : d.batches.at(d.batch).gates) {
            const auto& gate = d.strategy.gates.at(index);
            const auto answer = d.gates.find(gate.name);
            if (answer != d.gates.end() && answer->second.verdict == GateVerdict::pass) {
                continue;
            }
            const bool is_approval = gate.kind == GateKind::approval;
            if (is_approval || since >= bake.count()) {
                waiting.kind = is_approval ? WaitKind::approval : WaitKind::gate;
                waiting.gate = gate.name;
                waiting.what = is_approval ? "somebody to approve " + gate.name
                                           : "gate " + gate.name + ": " +
                                                 (answer == d.gates.end() ? "no answer yet"
                                                                          : answer->second.why);
                waiting.unblock = is_approval ? "slipway approve " + id : "slipway promote " + id;
                waiting.needs_a_person = true;
                return waiting;
            }
        }
        waiting.kind = WaitKind::bake;
        waiting.what = "the bake of batch " + std::to_string(d.batch + 1) + " of " +
                       std::to_string(d.batches.size());
        waiting.left = left(bake);
        if (since >= bake.count()) {
            wait_for_hosts([&](const std::string& host, const HostProgress& part) {
                return part.batch <= d.batch && !is_well(state, d, host, d.to);
            });
            waiting.kind = WaitKind::readiness;
            waiting.what = counted(waiting.hosts_in_all, "host") + " to be there and ready";
            waiting.left.reset();
            waiting.needs_a_person = true;
        }
        waiting.unblock = "slipway promote " + id;
        break;
    }
    default:
        waiting.kind = WaitKind::pause;
        waiting.what = "the pause after batch " + std::to_string(d.batch + 1);
        waiting.left = left(d.strategy.pause);
    }
    return waiting;
}

} // namespace slipway::orchestrator
