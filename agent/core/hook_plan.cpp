#include "agent/core/hook_plan.h"

namespace slipway::agent {
namespace {

using What = SwitchStep::What;
using Whose = SwitchStep::Whose;

void add_hook(std::vector<SwitchStep>& steps, const RunSpec* spec, Hook hook, Whose whose,
              bool failure_counts) {
    if (spec != nullptr && spec->hooks.contains(hook)) {
        steps.push_back({What::hook, hook, whose, failure_counts});
    }
}

void add_arrival(std::vector<SwitchStep>& steps, const RunSpec& to) {
    steps.push_back({.what = What::switch_to});
    add_hook(steps, &to, Hook::post_switch, Whose::new_release, true);
    if (to.unit || to.command) {
        steps.push_back({.what = What::restart});
    }
}

} // namespace

std::vector<SwitchStep> plan_switch(const RunSpec* from, const RunSpec& to) {
    std::vector<SwitchStep> steps;
    add_hook(steps, &to, Hook::pre_switch, Whose::new_release, true);
    add_hook(steps, from, Hook::pre_stop, Whose::old_release, true);
    add_arrival(steps, to);
    return steps;
}

std::vector<SwitchStep> plan_rollback(const RunSpec& from, const RunSpec& to) {
    std::vector<SwitchStep> steps;
    add_hook(steps, &from, Hook::pre_stop, Whose::old_release, false);
    add_hook(steps, &from, Hook::on_rollback, Whose::old_release, false);
    add_arrival(steps, to);
    return steps;
}

} // namespace slipway::agent
