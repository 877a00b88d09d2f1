#pragma once

#include <filesystem>

namespace slipway::agent {

/// The directory of cgroup v2 below which each hook gets a cgroup of its own, where the service
/// manager gave this process its cgroup to divide (a unit with Delegate=yes; systemd marks it with
/// the attribute `user.delegate` or `trusted.delegate`). Empty where it did not: the cgroup belongs
/// to somebody else then, and nothing is changed.
///
///     CGROUP/agent           this process, as those with children must have none themselves
///     CGROUP/hooks/hook-*    one for each run; with memory and pids where these can be had
///
/// What an earlier process left in hooks/ is removed. To be called once, before threads and
/// processes are started.
[[nodiscard]] std::filesystem::path divide_own_cgroup();

} // namespace slipway::agent
