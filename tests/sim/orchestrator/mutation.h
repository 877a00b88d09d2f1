#pragma once

#include <array>
#include <string_view>

namespace slipway::sim {

/// Bugs that the simulator must find: each breaks one promise on purpose.
enum class Mutation {
    none,
    obey_old_epoch,     ///< Hosts take orders of an orchestrator that lost its lease.
    obey_twice,         ///< Hosts act on a repeated order again.
    send_before_commit, ///< Commands leave before their records are durable.
    no_fencing,         ///< The store takes records of an orchestrator that lost its lease.
    pass_on_missing,    ///< A gate without data passes.
    fail_on_missing,    ///< A gate without data fails.
    ignore_freeze,
    ignore_budget,
    wrong_target, ///< The way back leads to the release that failed.
    skip_bake,
    unlogged, ///< The state changes without a record.
    two_active,
};
inline constexpr std::array<std::string_view, 13> mutation_names{
    "none",          "obey_old_epoch",  "obey_twice",      "send_before_commit",
    "no_fencing",    "pass_on_missing", "fail_on_missing", "ignore_freeze",
    "ignore_budget", "wrong_target",    "skip_bake",       "unlogged",
    "two_active"};

} // namespace slipway::sim
