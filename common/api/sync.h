#pragma once

// What an agent and the orchestrator say to each other: POST /v1/agents/sync. docs/api/agents.yaml
// describes it for other programs. Pure.

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/api/desired.h"

namespace slipway::api {

inline constexpr std::size_t sync_body_bytes_max = std::size_t{256} * 1024; ///< Both ways.
inline constexpr std::size_t sync_text_bytes_max = 1'024;                   ///< Of any text.
inline constexpr std::size_t sync_services_max = 256;
inline constexpr std::size_t sync_releases_max = 64; ///< Of each list of releases.
inline constexpr std::size_t sync_labels_max = 64;
inline constexpr std::size_t sync_metrics_max = 1'024;
inline constexpr std::size_t sync_buckets_max = 256;
inline constexpr std::size_t sync_events_max = 256;
inline constexpr std::uint64_t sync_wait_ms_max = 30'000;
inline constexpr std::uint64_t sync_status_ms_max = 3'600'000;

/// What a host says of a service.
struct ServiceReport {
    struct Running {
        std::string artifact; ///< "web@1.2".
        std::optional<Sha256Digest> digest;
        std::uint64_t since_ms = 0; ///< Unix time; 0: not said.
        bool operator==(const Running&) const = default;
    };
    struct Target {
        std::string artifact;
        std::optional<Sha256Digest> digest;
        std::uint32_t attempt = 0;
        bool operator==(const Target&) const = default;
    };
    struct Bad { ///< A release that failed on this host.
        Sha256Digest digest;
        std::uint32_t attempt = 0;
        std::string reason;
        bool operator==(const Bad&) const = default;
    };
    std::string state; ///< "staged", "healthy", ...
    std::optional<Running> running;
    std::optional<Running> previous; ///< What a rollback on the host leads to.
    std::optional<Target> target;    ///< What it should run.
    std::vector<Sha256Digest> staged;
    bool ready = false; ///< What runs held its probe.
    std::vector<Bad> bad;
    std::uint64_t crashes = 0; ///< Since the daemon began.
    std::uint64_t restarts = 0;
    std::string error;
    bool operator==(const ServiceReport&) const = default;
};

/// One metric of one service. NaN: there is no number.
struct MetricReport {
    static constexpr double no_number = std::numeric_limits<double>::quiet_NaN();
    std::string service;
    std::string name;
    std::string kind; ///< "count", "value" or "quantile".
    double amount = no_number;
    double exposure = no_number;
    std::vector<double> buckets{};
    std::uint64_t running_s = 0;
    std::uint64_t process = 0;
};

struct AgentEvent {
    std::uint64_t id = 0;
    std::uint64_t at_ms = 0; ///< Unix time.
    std::string service;
    std::string kind;
    std::string text;
    bool operator==(const AgentEvent&) const = default;
};

/// What a host says. Whose it is, its certificate tells.
struct SyncReport {
    std::string boot; ///< Another one for each start of the daemon.
    /// Grows within a boot with each change of what is said: of two reports that travel on two
    /// connections it tells which is newer. 0: not said.
    std::uint64_t number = 0;
    std::uint64_t epoch = 0;      ///< The highest that it has obeyed.
    std::uint64_t generation = 0; ///< Of that epoch.
    std::uint64_t wait_ms = 0;    ///< How long the answer may be held.
    std::map<std::string, std::string> labels;
    std::map<std::string, ServiceReport> services;
    std::vector<MetricReport> metrics;
    std::string stream; ///< Of the events' ids.
    std::vector<AgentEvent> events;
};

/// What it is told.
struct SyncAnswer {
    std::uint64_t epoch = 0;
    std::uint64_t generation = 0;
    std::optional<Desired> desired; ///< Of that epoch and generation; none: as the host has it.
    std::uint64_t events_to = 0;    ///< All up to it are kept, and may be forgotten.
    std::uint64_t wait_ms = 0;      ///< How long to let the next request be held.
    std::uint64_t status_ms = 0;    ///< Report at least so often.
    bool operator==(const SyncAnswer&) const = default;
};

/// `text` as reports may bear it: what is not UTF-8 is replaced by '?', what is beyond `bytes_max`
/// cut off.
[[nodiscard]] std::string sync_text(std::string_view text,
                                    std::size_t bytes_max = sync_text_bytes_max);
/// Leaves out what a body has no room for, reasons and old bad releases first, so that
/// encode_sync_report() keeps within `bytes_max` and every list within its bound. Events beyond the
/// room are left for the next report, metrics for nobody.
void fit_sync_report(SyncReport& report, std::size_t bytes_max = sync_body_bytes_max);
[[nodiscard]] std::string encode_sync_report(const SyncReport& report);
/// Fields that this version does not know are let be. Errors: Errc::usage, naming the field.
[[nodiscard]] Result<SyncReport> decode_sync_report(std::string_view body);

[[nodiscard]] std::string encode_sync_answer(const SyncAnswer& answer);
/// Errors: Errc::verification_failed, naming `what` and the field.
[[nodiscard]] Result<SyncAnswer> decode_sync_answer(ByteSpan body, std::string_view what);

} // namespace slipway::api
