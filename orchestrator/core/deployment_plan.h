#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/core/inventory.h"

namespace slipway::orchestrator {

/// Hosts that are moved together, and what must hold before the next.
struct Batch {
    std::string wave;                  ///< "" if there is one only.
    std::uint32_t step = 1;            ///< Of the wave, from 1.
    std::vector<std::string> hosts;    ///< In the order in which they are moved.
    std::vector<std::string> canary;   ///< Moved hosts of the wave that a comparison looks at.
    std::vector<std::string> baseline; ///< As many that still run the old release, per domain.
    std::vector<std::uint32_t> gates;  ///< Indices into the strategy's gates.
    bool operator==(const Batch&) const = default;
};

/// All that a plan depends on.
struct PlanInput {
    EnvironmentKey key;
    std::optional<Release> from; ///< Last-known-good.
    Release to;
    Strategy strategy;
    std::map<std::string, Labels> hosts; ///< Of the environment.
};

/// What will be done, in order. `id` is a digest of the input: the same world gives the same plan
/// and the same id, and any other world another one.
struct DeploymentPlan {
    std::string id; ///< 32 hexadecimal digits.
    EnvironmentKey key;
    std::optional<Release> from;
    Release to;
    Strategy strategy;
    std::vector<Batch> batches; ///< Each host is in one.
    bool operator==(const DeploymentPlan&) const = default;
};

/// Waves in their order; in a wave, the hosts of each failure domain are shuffled (by a seed that
/// is part of the id) and the domains interleaved in proportion, so that each batch is spread over
/// all of them. Canaries are thus a random sample of each domain; the baseline of a batch is the
/// sample that would be moved last. Errors: Errc::usage (no host is selected).
[[nodiscard]] Result<DeploymentPlan> make_plan(const PlanInput& input);

/// Of the judge: groups beyond this many hosts are cut.
inline constexpr std::size_t compared_hosts_max = judge::hosts_max;

} // namespace slipway::orchestrator
