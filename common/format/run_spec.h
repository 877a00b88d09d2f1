#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "common/core/bytes.h"
#include "common/core/result.h"

namespace slipway {

using Milliseconds = std::chrono::milliseconds;

inline constexpr std::size_t run_spec_bytes_max = std::size_t{32} * 1024;
inline constexpr std::size_t run_probes_max = 16;
inline constexpr std::size_t run_arguments_max = 64;
inline constexpr std::size_t run_argument_bytes_max = 4096;

/// A program to run: `argv[0]` is a path inside of the release, or absolute. No shell is involved.
struct RunProgram {
    std::vector<std::string> argv = {};
    Milliseconds deadline{60'000};              ///< Then TERM, and KILL two seconds later.
    std::uint64_t memory_bytes = 512ULL << 20U; ///< Of the whole group, or of each process.
    std::uint64_t output_bytes = 64ULL * 1024;  ///< The last of it are kept for the message.
    std::uint64_t tasks = 256;                  ///< Processes and threads.
    bool operator==(const RunProgram&) const = default;
};

enum class Hook { pre_switch, post_switch, pre_stop, on_rollback };
inline constexpr std::array all_hooks = {Hook::pre_switch, Hook::post_switch, Hook::pre_stop,
                                         Hook::on_rollback};
/// "pre-switch", as in the specification, in SLIPWAY_HOOK and in messages.
[[nodiscard]] std::string_view to_string(Hook hook);

enum class UnitAction { restart, reload };
[[nodiscard]] std::string_view to_string(UnitAction action);

/// A systemd unit that runs the service.
struct RunUnit {
    std::string name = {};
    UnitAction action = UnitAction::restart;
    Milliseconds timeout{90'000}; ///< For the job and until the unit is active.
    bool operator==(const RunUnit&) const = default;
};

/// A program that the supervisor keeps running where there is no systemd.
struct RunCommand {
    std::vector<std::string> argv = {};
    Milliseconds stop_timeout{10'000}; ///< From TERM to KILL.
    bool operator==(const RunCommand&) const = default;
};

enum class ProbeKind { http, tcp, exec, systemd, metric };
[[nodiscard]] std::string_view to_string(ProbeKind kind);

struct ProbeSpec {
    ProbeKind kind = ProbeKind::tcp;
    std::string url = {};                ///< http, metric: http://HOST[:PORT]/PATH or https://.
    std::string address = {};            ///< tcp: HOST:PORT.
    std::string unit = {};               ///< systemd; empty: the unit of the service.
    std::string metric = {};             ///< metric: `name` or `name{label="value"}` as exposed.
    std::optional<std::string> min = {}; ///< metric: decimal number, at least.
    std::optional<std::string> max = {}; ///< metric: decimal number, at most.
    RunProgram program = {};             ///< exec; its deadline is `timeout`.
    Milliseconds interval{2'000};        ///< From the start of one to the start of the next.
    Milliseconds timeout{2'000};         ///< A probe that takes longer has failed.
    std::uint64_t successes = 1;         ///< In a row, until it holds.
    std::uint64_t failures = 3;          ///< In a row, until it has failed.
    Milliseconds start_period{0}; ///< Failures before that, and before a success, do not count.
    bool operator==(const ProbeSpec&) const = default;
    /// For messages: "http http://127.0.0.1:8080/healthz".
    [[nodiscard]] std::string name() const;
};

/// How a service runs: docs/running-services.md. From the manifest of its artifact, or from the
/// host's configuration, which goes first.
struct RunSpec {
    std::optional<RunUnit> unit; ///< At most one of unit and command.
    std::optional<RunCommand> command;
    std::map<Hook, RunProgram> hooks;
    std::vector<ProbeSpec> probes;
    Milliseconds ready_within{300'000}; ///< From the restart until all probes hold.
    Milliseconds bake{0};               ///< From then on until the release is healthy.
    std::uint64_t bake_restarts = 0;    ///< More restarts than that while it bakes are a failure.
    bool operator==(const RunSpec&) const = default;
};

/// The form in manifests: what equals its default is left out, durations and sizes are in their
/// shortest form. Equal specifications are equal JSON.
[[nodiscard]] nlohmann::json run_spec_json(const RunSpec& spec);
/// Refuses unknown keys, other versions, and values out of their bounds; says which key.
/// Error: Errc::verification_failed, naming `what`.
[[nodiscard]] Result<RunSpec> parse_run_spec(const nlohmann::json& document, std::string_view what);
/// The same from text, of at most run_spec_bytes_max bytes.
[[nodiscard]] Result<RunSpec> decode_run_spec(ByteSpan json, std::string_view what);

/// "90s", "1500ms", "5m", "1h"; at most 7 days. Error: Errc::usage.
[[nodiscard]] Result<Milliseconds> parse_duration(std::string_view text);
[[nodiscard]] std::string duration_text(Milliseconds duration);
/// "65536", "64K", "256M", "4G". Error: Errc::usage.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
[[nodiscard]] std::string size_text(std::uint64_t bytes);

} // namespace slipway
