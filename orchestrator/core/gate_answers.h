#pragma once

// What the outside says to gates, and where gates may ask. Pure: no clock, no I/O; thread-safe.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.h"

namespace slipway::orchestrator {

/// What a gate that asks the outside says. Whatever is not a clear answer is `hold`.
enum class GateVerdict { pass, fail, hold };

struct GateAnswer {
    GateVerdict verdict = GateVerdict::hold;
    std::string why{}; ///< For people: the numbers, or what was missing. At most 1 KiB.
};

/// One value of a PromQL query.
struct MetricSample {
    std::map<std::string, std::string> labels{};
    double value = 0;
};

/// What a query gave: samples, all of them finite, or why there are none that count.
struct MetricReading {
    std::vector<MetricSample> samples{};
    std::string missing{}; ///< Empty: there is data. Never both.
};

/// Reads the answer of Prometheus' /api/v1/query of `status`, got at `now_unix_ms`. Missing is: a
/// status other than 200, a result that is empty, a range, beyond 10 000 samples or malformed, any
/// NaN or infinite value, any warning (data may be partial), samples more than `stale_after` from
/// now. Pure.
[[nodiscard]] MetricReading parse_metric_answer(int status, std::string_view body,
                                                std::int64_t now_unix_ms,
                                                std::chrono::milliseconds stale_after);

/// A gate's limits, each of them allowed. Every sample must keep both.
struct MetricLimits {
    std::optional<double> min{};
    std::optional<double> max{};
};
/// Missing data holds; it never passes and never fails. Without any limit: hold. Pure.
[[nodiscard]] GateAnswer judge_limits(const MetricReading& reading, const MetricLimits& limits);

/// Reads the answer of a gate's webhook: 2xx with `{"verdict": "pass"|"fail"|"hold", "reason":
/// "..."}`; anything else holds. Pure.
[[nodiscard]] GateAnswer parse_gate_answer(int status, std::string_view body);

/// Whether a configured URL may be asked: http or https, a host, no user or password, no fragment,
/// no control bytes. Plain http only to this machine (127.0.0.0/8, ::1, localhost), unless
/// `plain_http` says that the network in between is trusted. Link-local addresses, where clouds
/// serve their machines' credentials, are refused. URLs come from the operator's configuration
/// only, never from a deployment or an answer, and redirects are not followed. Error: Errc::usage,
/// with the rule.
[[nodiscard]] Result<> check_outgoing_url(std::string_view url, bool plain_http = false);

} // namespace slipway::orchestrator
