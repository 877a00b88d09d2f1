#pragma once

// What an agent says (POST /v1/agents/sync, docs/api/agents.yaml), as the orchestrator takes it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/core/machine.h"
#include "orchestrator/judge/finding.h"

namespace slipway::orchestrator {

/// One metric of one service.
struct MetricReport {
    std::string service;
    std::string name;
    double amount = judge::no_number;
    double exposure = judge::no_number;
    std::vector<double> buckets{};
    std::uint64_t running_s = 0;
    std::uint64_t process = 0;
};

struct AgentEvent {
    std::uint64_t id = 0;
    std::int64_t at_ms = 0;
    std::string body; ///< JSON: {"service": ..., "kind": ..., "text": ...}
};

struct AgentReport {
    HostReport report;
    std::uint64_t wait_ms = 0; ///< How long the answer may be held.
    std::vector<MetricReport> metrics;
    std::string stream; ///< Of the events' ids.
    std::vector<AgentEvent> events;
};

inline constexpr std::size_t agent_report_bytes_max = std::size_t{256} * 1024;
inline constexpr std::uint64_t agent_wait_ms_max = 30'000;

/// Reads a report of `host`, whose name its certificate says. Bounded: 256 services, 64 releases of
/// each list, 64 labels, 1024 metrics, 256 events, texts of 1 KiB. Fields that this version does
/// not know are let be. Errors: Errc::usage, naming the field. Pure.
[[nodiscard]] Result<AgentReport> parse_agent_report(std::string_view body,
                                                     const std::string& host);

/// The answer: `order` is null if the host has it as it is.
struct AgentAnswer {
    std::uint64_t epoch = 0;
    std::uint64_t generation = 0;
    const OrderHost* order = nullptr;
    std::uint64_t events_to = 0;
    std::uint64_t wait_ms = 0;
    std::uint64_t status_ms = 0;
};
[[nodiscard]] std::string encode_agent_answer(const AgentAnswer& answer);

} // namespace slipway::orchestrator
