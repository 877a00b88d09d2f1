#pragma once

#include <vector>

#include "common/format/run_spec.h"

namespace slipway::agent {

/// One step on the way from the release that runs to another.
struct SwitchStep {
    enum class What {
        hook,      ///< Run `hook` of `from` (the old release) or `to` (the new one).
        switch_to, ///< Point `current` at the new release.
        restart,   ///< Restart or reload the unit, or the command, of the new release.
    };
    enum class Whose { old_release, new_release };
    What what = What::hook;
    Hook hook = Hook::pre_switch; ///< For What::hook.
    Whose whose = Whose::new_release;
    /// Its failure ends the move. Others are reported, and the move goes on: a hook of a release
    /// that is bad already must not hold up the way back.
    bool failure_counts = true;
    bool operator==(const SwitchStep&) const = default;
};

/// Forward: pre-switch (new), pre-stop (old), switch, post-switch (new), restart. A failure before
/// the switch leaves everything as it was. `from` is nullptr on the first installation.
[[nodiscard]] std::vector<SwitchStep> plan_switch(const RunSpec* from, const RunSpec& to);

/// Backward, from the bad release to the one before: pre-stop (bad), on-rollback (bad), switch,
/// post-switch (the one before), restart.
[[nodiscard]] std::vector<SwitchStep> plan_rollback(const RunSpec& from, const RunSpec& to);

} // namespace slipway::agent
