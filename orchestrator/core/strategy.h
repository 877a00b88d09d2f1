#pragma once

// How a deployment moves over its hosts. docs/strategies.md has every key. Pure.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.h"
#include "orchestrator/judge/plan.h"

namespace slipway::orchestrator {

using Milliseconds = std::chrono::milliseconds;

/// A number of hosts, or a part of them: "3" or "10%", "0.5%".
struct Amount {
    std::uint32_t value = 0; ///< Hosts, or hundredths of a percent.
    bool percent = false;
    bool operator==(const Amount&) const = default;

    /// Rounded up, at least 1 and at most `total`: a batch.
    [[nodiscard]] std::size_t at_least_one_of(std::size_t total) const;
    /// Rounded down: what is allowed to fail.
    [[nodiscard]] std::size_t at_most_of(std::size_t total) const;
    /// Rounded down but at least 1: what may be down at once, or nothing would ever move.
    [[nodiscard]] std::size_t budget_of(std::size_t total) const;
    [[nodiscard]] std::string text() const;
    /// Error: Errc::usage.
    [[nodiscard]] static Result<Amount> parse(std::string_view text);
};
[[nodiscard]] constexpr Amount hosts(std::uint32_t count) {
    return {count, false};
}
[[nodiscard]] constexpr Amount percent(std::uint32_t part) {
    return {part * 100, true};
}

enum class StrategyKind { rolling, canary, blue_green };
[[nodiscard]] std::string_view to_string(StrategyKind kind);

/// Evidence that somebody outside the machine gives. (Readiness and crashes are always asked for.)
enum class GateKind {
    metric,   ///< Absolute limits on a PromQL query.
    compare,  ///< The judge: canary against baseline, from agents' reports or from Prometheus.
    webhook,  ///< A URL that the orchestrator's configuration has under `target`.
    approval, ///< A person.
};
[[nodiscard]] std::string_view to_string(GateKind kind);

struct GateSpec {
    std::string name; ///< Unique in the strategy: [a-z0-9._-], at most 64 bytes.
    GateKind kind = GateKind::metric;
    std::string query;  ///< Of metric.
    std::string server; ///< Of metric and compare: of [prometheus.NAME]; empty: the only one.
    std::string host_label = "instance"; ///< Of compare: the label of samples that names a host.
    std::optional<double> min, max;      ///< Of metric: one of them at least.
    std::vector<judge::MetricRules> metrics; ///< Of compare.
    std::string target;                      ///< Of webhook.
    Milliseconds interval{15'000};           ///< Between two questions.
    std::vector<std::uint32_t> steps;        ///< Which steps of a wave, from 1; empty: all.
    [[nodiscard]] bool applies_to(std::uint32_t step) const;
    bool operator==(const GateSpec&) const = default;
};

struct Strategy {
    StrategyKind kind = StrategyKind::canary;
    /// How many hosts of a wave are moved when each step ends, growing; the last is 100 %.
    /// Of rolling: one entry, the size of each batch.
    std::vector<Amount> steps;
    /// How long all hosts of a batch must stay well, and gates be asked; the last repeats.
    std::vector<Milliseconds> bake;
    Milliseconds pause{0}; ///< After each batch, when its gates have passed.

    Amount max_unavailable = percent(10);            ///< Of the environment's hosts.
    Amount max_unavailable_per_domain = percent(25); ///< Of the hosts of each failure domain.
    std::string domain = "zone";                     ///< The label that names the failure domain.

    std::string wave_label = "region";
    std::vector<std::string> waves; ///< Values in order; others follow. Empty: all at once.

    bool stage_first = true;
    Milliseconds stage_deadline{1'800'000}; ///< Who has not staged by then counts as offline.
    Milliseconds ready_deadline{300'000};   ///< From the order to run until ready.
    Milliseconds unready_grace{15'000};     ///< How long a host may be not ready after it was.
    Amount offline_budget = percent(5);     ///< Hosts that a deployment goes on without.
    Amount max_failed = percent(1);         ///< Of the hosts moved so far.
    std::uint32_t max_crashes = 2; ///< Crashes, restarts and losses of readiness of one host.
    std::vector<GateSpec> gates;

    bool operator==(const Strategy&) const = default;
    [[nodiscard]] Milliseconds bake_of(std::uint32_t step) const; ///< From 1.
};

inline constexpr std::size_t strategy_bytes_max = std::size_t{64} * 1024;
inline constexpr std::size_t steps_max = 32;
inline constexpr std::size_t gates_max = 16;
inline constexpr std::size_t waves_max = 64;

[[nodiscard]] Strategy default_strategy(StrategyKind kind);
/// "rolling", "canary" or "blue-green". Error: Errc::usage.
[[nodiscard]] Result<Strategy> named_strategy(std::string_view name);

/// Reads TOML or JSON (a text that begins with '{'). Errors: Errc::usage, naming `what`, the line
/// (TOML) and the key. Unknown keys are refused.
[[nodiscard]] Result<Strategy> parse_strategy(std::string_view text, std::string_view what);
/// JSON with every key, which parse_strategy() reads back to the same value.
[[nodiscard]] std::string encode_strategy(const Strategy& strategy);

} // namespace slipway::orchestrator
