#include "cli/deployment_view.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include <nlohmann/json.hpp>

#include "cli/output.h"

namespace slipway::cli {
namespace {

using nlohmann::json;

const json nothing;

const json& at(const json& object, const char* name) {
    if (!object.is_object()) {
        return nothing;
    }
    const auto found = object.find(name);
    return found == object.end() ? nothing : *found;
}
std::string text(const json& object, const char* name) {
    const auto& value = at(object, name);
    return value.is_string() ? value.get<std::string>() : std::string();
}
std::int64_t number(const json& object, const char* name) {
    const auto& value = at(object, name);
    return value.is_number() ? value.get<std::int64_t>() : 0;
}
bool flag(const json& object, const char* name) {
    const auto& value = at(object, name);
    return value.is_boolean() && value.get<bool>();
}
std::string counted(std::size_t count, const char* what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}
std::string padded(std::string what, std::size_t width) {
    what.resize(std::max(what.size(), width), ' ');
    return what;
}

std::string move_text(const json& deployment) {
    const auto from = text(at(deployment, "from"), "artifact");
    return (from.empty() ? "nothing" : from) + " -> " + text(deployment, "artifact");
}

/// "ready 8, moving 2": the steps that some host is at.
std::string steps_text(const json& counts) {
    constexpr std::array steps{"waiting",   "moving",   "ready", "failed", "behind",
                               "returning", "returned", "lost",  "stuck"};
    std::string out;
    for (const auto* step : steps) {
        if (const auto count = number(counts, step); count > 0) {
            out += (out.empty() ? "" : ", ") + std::to_string(count) + " " + step;
        }
    }
    return out;
}

std::string wait_text(const json& waiting, std::int64_t now_unix_ms) {
    auto line = "waits for: " + text(waiting, "what");
    if (const auto until = number(waiting, "until_unix_ms"); until > 0) {
        line += " (until " + utc_text(until) + ", in " +
                duration_text(std::max<std::int64_t>(until - now_unix_ms, 0)) + " at most)";
    }
    if (const auto unblock = text(waiting, "unblock"); !unblock.empty()) {
        line += "; ends by: " + unblock;
    }
    return line;
}

void add_batches(std::vector<std::string>& lines, const json& deployment) {
    const auto& batches = at(deployment, "batches");
    for (std::size_t i = 0; batches.is_array() && i < batches.size(); ++i) {
        const auto& batch = batches[i];
        const bool is_last = i + 1 == batches.size();
        const auto hosts = static_cast<std::size_t>(number(batch, "hosts"));
        lines.push_back((is_last ? "└─ " : "├─ ") +
                        padded(std::to_string(number(batch, "number")), 3) +
                        padded(text(batch, "wave"), 10) + padded(counted(hosts, "host"), 12) +
                        padded(text(batch, "state"), 10) + steps_text(at(batch, "steps")));
        for (const auto& gate : at(batch, "gates")) {
            lines.push_back(std::string(is_last ? "   " : "│  ") + "   gate " +
                            padded(text(gate, "name"), 14) + padded(text(gate, "verdict"), 6) +
                            text(gate, "why"));
        }
    }
}

} // namespace

std::string utc_text(std::int64_t unix_ms) {
    const std::time_t seconds = unix_ms / 1'000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> out{};
    const auto size = std::strftime(out.data(), out.size(), "%Y-%m-%d %H:%M:%S", &parts);
    return {out.data(), size};
}

std::string duration_text(std::int64_t ms) {
    const auto seconds = ms / 1'000;
    if (seconds < 120) {
        return std::to_string(seconds) + " s";
    }
    const auto minutes = seconds / 60;
    if (minutes < 120) {
        return std::to_string(minutes) + " min";
    }
    const auto hours = minutes / 60;
    if (hours < 48) {
        return std::to_string(hours) + " h " + std::to_string(minutes % 60) + " min";
    }
    return std::to_string(hours / 24) + " d";
}

std::vector<std::string> deployment_lines(const json& deployment, std::int64_t now_unix_ms) {
    std::vector<std::string> lines;
    const auto ended = number(deployment, "ended_unix_ms");
    const auto end = ended > 0 ? ended : now_unix_ms;
    lines.push_back(text(deployment, "id") + "  " + text(deployment, "service") + "/" +
                    text(deployment, "environment") + "  " + move_text(deployment) + "  " +
                    text(deployment, "phase") + (flag(deployment, "paused") ? " (paused)" : ""));
    auto who = "by " + text(deployment, "by") + " at " +
               utc_text(number(deployment, "created_unix_ms")) + ", " +
               (ended > 0 ? "took " : "for ") +
               duration_text(end - number(deployment, "created_unix_ms"));
    if (const auto why = text(deployment, "why"); !why.empty()) {
        who += ": " + why;
    }
    lines.push_back(std::move(who));
    if (const auto cause = text(deployment, "cause"); !cause.empty()) {
        lines.push_back("went back because: " + cause);
    }
    if (const auto& waiting = at(deployment, "waits_for"); waiting.is_object()) {
        lines.push_back(wait_text(waiting, now_unix_ms));
        const auto& hosts = at(waiting, "hosts");
        std::string names;
        for (std::size_t i = 0; hosts.is_array() && i < std::min<std::size_t>(hosts.size(), 5);
             ++i) {
            names += (i == 0 ? "" : ", ") + hosts[i].get<std::string>();
        }
        const auto in_all = number(waiting, "hosts_in_all");
        if (!names.empty()) {
            lines.push_back("  hosts: " + names +
                            (in_all > 5 ? " and " + std::to_string(in_all - 5) + " more" : ""));
        }
    }
    if (const auto steps = steps_text(at(deployment, "steps")); !steps.empty()) {
        lines.push_back("hosts: " + steps);
    }
    add_batches(lines, deployment);
    return lines;
}

std::vector<std::string> plan_lines(const json& plan) {
    std::vector<std::string> lines;
    lines.push_back("plan " + text(plan, "id") + "  " + text(plan, "service") + "/" +
                    text(plan, "environment") + "  " + move_text(plan) + "  strategy " +
                    text(plan, "strategy"));
    if (!flag(plan, "changes")) {
        lines.push_back("nothing to do: " + text(plan, "why"));
        return lines;
    }
    for (const auto& batch : at(plan, "batches")) {
        const auto& hosts = at(batch, "hosts");
        auto line = "batch " + padded(std::to_string(number(batch, "number")), 3) +
                    padded(text(batch, "wave"), 10) + padded(counted(hosts.size(), "host"), 12) +
                    "bake " + padded(duration_text(number(batch, "bake_ms")), 8);
        for (const auto& gate : at(batch, "gates")) {
            line += " gate " + gate.get<std::string>();
        }
        lines.push_back(std::move(line));
        std::string names;
        for (const auto& host : hosts) {
            names += " " + host.get<std::string>();
        }
        lines.push_back("   " + names);
    }
    const auto& bytes = at(plan, "bytes");
    if (bytes.is_object()) {
        lines.push_back(
            "to move: " + human_bytes(static_cast<std::uint64_t>(number(bytes, "all_hosts"))) +
            " to all hosts, at most " +
            human_bytes(static_cast<std::uint64_t>(number(bytes, "largest_host"))) + " to one");
    }
    if (const auto blocked = text(plan, "blocked"); !blocked.empty()) {
        lines.push_back("note: " + blocked);
    }
    return lines;
}

std::vector<std::string> fleet_lines(const json& services) {
    std::vector<std::string> lines;
    for (const auto& environment : services) {
        const auto good = text(at(environment, "good"), "artifact");
        auto line =
            padded(text(environment, "service") + "/" + text(environment, "environment"), 24) +
            "  " + padded(good.empty() ? "nothing deployed" : good, 24) + "  " +
            counted(static_cast<std::size_t>(number(environment, "hosts")), "host");
        if (const auto lost = number(environment, "lost"); lost > 0) {
            line += ", " + std::to_string(lost) + " lost";
        }
        if (const auto& freezes = at(environment, "frozen_by"); !freezes.empty()) {
            line += ", frozen";
        }
        if (const auto active = text(environment, "active"); !active.empty()) {
            line += ", deployment " + active;
        }
        lines.push_back(std::move(line));
    }
    if (lines.empty()) {
        lines.emplace_back("No environment is set up yet: PUT "
                           "/v1/services/SERVICE/environments/ENVIRONMENT, or the first `slipway "
                           "deploy` of an admin.");
    }
    return lines;
}

std::string history_line(const json& deployment) {
    const auto ended = number(deployment, "ended_unix_ms");
    return utc_text(number(deployment, "created_unix_ms")) + "  " + text(deployment, "id") + "  " +
           padded(text(deployment, "service") + "/" + text(deployment, "environment"), 20) + "  " +
           move_text(deployment) + "  " + padded(text(deployment, "phase"), 12) + "  " +
           (ended > 0 ? duration_text(ended - number(deployment, "created_unix_ms"))
                      : std::string("goes on")) +
           "  " + text(deployment, "by") +
           (text(deployment, "cause").empty() ? "" : "  " + text(deployment, "cause"));
}

std::string audit_line(const json& record) {
    return utc_text(number(record, "at_unix_ms")) + "  " +
           padded(std::to_string(number(record, "position")), 6) + "  " +
           padded(text(record, "deployment"), 8) + "  " + padded(text(record, "kind"), 22) + "  " +
           at(record, "body").dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string host_line(const json& host) {
    std::string line = padded(text(host, "host"), 20) + "  " + padded(text(host, "state"), 8);
    for (const auto& [service, status] : at(host, "services").items()) {
        const auto running = text(at(status, "running"), "artifact");
        line += "  " + service + " " + (running.empty() ? "-" : running) + " (" +
                text(status, "state") + ")";
    }
    return line;
}

} // namespace slipway::cli
