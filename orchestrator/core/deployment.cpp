#include "orchestrator/core/deployment.h"

namespace slipway::orchestrator {

std::string_view to_string(Phase phase) {
    switch (phase) {
    case Phase::staging:
        return "staging";
    case Phase::moving:
        return "moving";
    case Phase::baking:
        return "baking";
    case Phase::pausing:
        return "pausing";
    case Phase::rolling_back:
        return "rolling_back";
    case Phase::succeeded:
        return "succeeded";
    case Phase::rolled_back:
        return "rolled_back";
    case Phase::failed:
        return "failed";
    }
    return "unknown";
}

std::string_view to_string(HostStep step) {
    switch (step) {
    case HostStep::waiting:
        return "waiting";
    case HostStep::moving:
        return "moving";
    case HostStep::ready:
        return "ready";
    case HostStep::failed:
        return "failed";
    case HostStep::returning:
        return "returning";
    case HostStep::returned:
        return "returned";
    case HostStep::stuck:
        return "stuck";
    }
    return "unknown";
}

std::string_view to_string(WaitKind kind) {
    switch (kind) {
    case WaitKind::staging:
        return "staging";
    case WaitKind::budget:
        return "budget";
    case WaitKind::readiness:
        return "readiness";
    case WaitKind::offline:
        return "offline";
    case WaitKind::bake:
        return "bake";
    case WaitKind::gate:
        return "gate";
    case WaitKind::approval:
        return "approval";
    case WaitKind::pause:
        return "pause";
    case WaitKind::resume:
        return "resume";
    case WaitKind::freeze:
        return "freeze";
    case WaitKind::going_back:
        return "going_back";
    case WaitKind::nothing:
        return "nothing";
    }
    return "unknown";
}

} // namespace slipway::orchestrator
