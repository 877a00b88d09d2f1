#include "orchestrator/core/api_views.h"

#include <cstdio>

#include "common/core/numbers.h"

namespace slipway::orchestrator {
namespace {

using nlohmann::json;

json optional_time(std::int64_t unix_ms) {
    return unix_ms > 0 ? json(unix_ms) : json();
}

using Counts = std::map<HostStep, std::size_t>;

json counts_view(const Counts& counts) {
    auto view = json::object();
    for (const auto& [step, count] : counts) {
        view[std::string(to_string(step))] = count;
    }
    return view;
}

Counts counts_of_batch(const Deployment& deployment, const Batch& batch) {
    Counts counts;
    for (const auto& host : batch.hosts) {
        const auto found = deployment.hosts.find(host);
        ++counts[found == deployment.hosts.end() ? HostStep::waiting : found->second.step];
    }
    return counts;
}

/// Where a batch stands in its deployment, in a word.
std::string batch_state(const Deployment& deployment, std::size_t number) {
    if (deployment.phase == Phase::succeeded || number < deployment.batch) {
        return "passed";
    }
    if (deployment.phase == Phase::staging || number > deployment.batch) {
        return "waiting";
    }
    return std::string(to_string(deployment.phase));
}

json gates_view(const Deployment& deployment, const Batch& batch, bool is_present) {
    auto gates = json::array();
    for (const auto index : batch.gates) {
        const auto& spec = deployment.strategy.gates.at(index);
        json gate = {{"name", spec.name},
                     {"kind", std::string(to_string(spec.kind))},
                     {"verdict", "open"},
                     {"why", ""},
                     {"by", ""}};
        const auto state = deployment.gates.find(spec.name);
        if (is_present && state != deployment.gates.end()) {
            const auto verdict = state->second.verdict;
            gate["verdict"] = verdict == GateVerdict::pass   ? "pass"
                              : verdict == GateVerdict::fail ? "fail"
                                                             : "hold";
            gate["why"] = state->second.why;
            gate["by"] = state->second.by;
        }
        gates.push_back(std::move(gate));
    }
    return gates;
}

json batches_view(const Deployment& deployment) {
    auto batches = json::array();
    for (std::size_t i = 0; i < deployment.batches.size(); ++i) {
        const auto& batch = deployment.batches[i];
        batches.push_back({{"number", i + 1},
                           {"wave", batch.wave},
                           {"hosts", batch.hosts.size()},
                           {"state", batch_state(deployment, i)},
                           {"steps", counts_view(counts_of_batch(deployment, batch))},
                           {"gates", gates_view(deployment, batch, i == deployment.batch)}});
    }
    return batches;
}

json waiting_view(const FleetState& state, const Deployment& deployment, std::int64_t now_unix_ms) {
    const auto waiting = waiting_for(state, deployment.id);
    if (!waiting || is_over(deployment.phase)) {
        return nullptr;
    }
    return {{"kind", std::string(to_string(waiting->kind))},
            {"what", waiting->what},
            {"until_unix_ms", waiting->left ? json(now_unix_ms + waiting->left->count()) : json()},
            {"hosts", waiting->hosts},
            {"hosts_in_all", waiting->hosts_in_all},
            {"gate", waiting->gate},
            {"unblock", waiting->unblock},
            {"needs_a_person", waiting->needs_a_person}};
}

std::string presence_word(const Seen::HostSeenNow* seen) {
    if (seen == nullptr || seen->presence == Presence::unknown) {
        return "unknown";
    }
    return seen->presence == Presence::present ? "online" : "lost";
}

json service_report_view(const ServiceReport& report) {
    json view = {{"state", report.state},       {"ready", report.ready},
                 {"running", nullptr},          {"crashes", report.crashes},
                 {"restarts", report.restarts}, {"error", report.error}};
    if (report.running) {
        view["running"] = {
            {"artifact", report.running->artifact},
            {"digest", report.running->digest ? json(report.running->digest->hex()) : json()}};
    }
    auto staged = json::array();
    for (const auto& digest : report.staged) {
        staged.push_back(digest.hex());
    }
    view["staged"] = std::move(staged);
    auto bad = json::array();
    for (const auto& one : report.bad) {
        bad.push_back(
            {{"digest", one.digest.hex()}, {"attempt", one.attempt}, {"reason", one.reason}});
    }
    view["bad"] = std::move(bad);
    return view;
}

} // namespace

json release_view(const std::optional<Release>& release) {
    if (!release) {
        return nullptr;
    }
    return {{"artifact", release->artifact.text()},
            {"digest", release->digest ? json(release->digest->hex()) : json()},
            {"attempt", release->attempt}};
}

json deployment_summary(const Deployment& deployment) {
    return {{"id", deployment.id},
            {"service", deployment.key.service},
            {"environment", deployment.key.environment},
            {"artifact", deployment.to.artifact.text()},
            {"to", release_view(deployment.to)},
            {"from", release_view(deployment.from)},
            {"phase", std::string(to_string(deployment.phase))},
            {"paused", deployment.paused},
            {"rollback", deployment.is_rollback},
            {"emergency", deployment.emergency},
            {"by", deployment.by},
            {"why", deployment.why},
            {"cause", deployment.cause},
            {"created_unix_ms", deployment.created_unix_ms},
            {"ended_unix_ms", optional_time(deployment.ended_unix_ms)}};
}

json deployment_view(const FleetState& state, const Deployment& deployment,
                     std::int64_t now_unix_ms) {
    auto view = deployment_summary(deployment);
    const auto progress = progress_of(state, deployment);
    view["strategy"] = json::parse(encode_strategy(deployment.strategy));
    view["plan"] = deployment.plan_id;
    view["batch"] = deployment.batches.empty() ? 0 : deployment.batch + 1;
    view["batches"] = batches_view(deployment);
    view["steps"] = counts_view(progress.hosts);
    view["staged"] = progress.staged;
    view["offline"] = progress.offline;
    view["waits_for"] = waiting_view(state, deployment, now_unix_ms);
    return view;
}

json deployment_host_view(const std::string& host, const HostProgress& progress) {
    return {{"host", host},
            {"step", std::string(to_string(progress.step))},
            {"batch", progress.batch + 1},
            {"why", progress.why}};
}

json ended_deployment(const FleetState& state, const Deployment& deployment) {
    auto view = deployment_view(state, deployment, deployment.ended_unix_ms);
    auto hosts = json::array();
    for (const auto& [host, progress] : deployment.hosts) {
        hosts.push_back(deployment_host_view(host, progress));
    }
    return {{"view", std::move(view)}, {"hosts", std::move(hosts)}};
}

json environment_view(const FleetState& state, const EnvironmentKey& key,
                      const Environment& environment) {
    json view = {{"service", key.service},
                 {"environment", key.environment},
                 {"labels", environment.spec.selector},
                 {"good", release_view(environment.good)},
                 {"active", environment.active},
                 {"frozen_by", nullptr}};
    if (const auto* freeze = freeze_of(state, key)) {
        view["frozen_by"] = freeze->scope;
    }
    auto quarantined = json::array();
    for (const auto& release : environment.quarantined) {
        quarantined.push_back(release_view(release));
    }
    view["quarantined"] = std::move(quarantined);
    std::size_t hosts = 0;
    std::size_t lost = 0;
    if (const auto members = state.log.members.find(key); members != state.log.members.end()) {
        for (const auto& host : members->second) {
            const auto seen = state.seen.hosts.find(host);
            ++hosts;
            const bool is_lost =
                seen != state.seen.hosts.end() && seen->second.presence == Presence::lost;
            lost += is_lost ? 1U : 0U;
        }
    }
    view["hosts"] = hosts;
    view["lost"] = lost;
    return view;
}

json host_view(const std::string& name, const Host& host, const Seen::HostSeenNow* seen) {
    json view = {{"host", name},
                 {"labels", host.labels},
                 {"state", presence_word(seen)},
                 {"generation", host.generation},
                 {"environments", host.belongs},
                 {"services", json::object()}};
    if (seen != nullptr) {
        for (const auto& [service, report] : seen->report.services) {
            view["services"][service] = service_report_view(report);
        }
    }
    return view;
}

json freeze_view(const Freeze& freeze) {
    return {{"scope", freeze.scope},
            {"by", freeze.by},
            {"why", freeze.why},
            {"since_unix_ms", freeze.since_unix_ms}};
}

json plan_view(const DeploymentPlan& plan, bool changes, const std::string& blocked) {
    auto batches = json::array();
    for (std::size_t i = 0; i < plan.batches.size(); ++i) {
        const auto& batch = plan.batches[i];
        auto gates = json::array();
        for (const auto index : batch.gates) {
            gates.push_back(plan.strategy.gates.at(index).name);
        }
        batches.push_back({{"number", i + 1},
                           {"wave", batch.wave},
                           {"hosts", batch.hosts},
                           {"canary", batch.canary.size()},
                           {"baseline", batch.baseline.size()},
                           {"bake_ms", plan.strategy.bake_of(batch.step).count()},
                           {"gates", std::move(gates)}});
    }
    return {{"id", plan.id},
            {"service", plan.key.service},
            {"environment", plan.key.environment},
            {"artifact", plan.to.artifact.text()},
            {"to", release_view(plan.to)},
            {"from", release_view(plan.from)},
            {"strategy", std::string(to_string(plan.strategy.kind))},
            {"changes", changes},
            {"why", changes ? "" : "all hosts have it, and it is last-known-good"},
            {"batches", std::move(batches)},
            {"blocked", blocked}};
}

std::optional<std::uint64_t> deployment_number(std::string_view id) {
    if (!id.starts_with('d')) {
        return std::nullopt;
    }
    return parse_number<std::uint64_t>(id.substr(1));
}

std::string history_key(std::uint64_t number) {
    char key[16];
    std::snprintf(key, sizeof key, "%012llu",
                  static_cast<unsigned long long>(999'999'999'999ULL - number));
    return key;
}

} // namespace slipway::orchestrator
