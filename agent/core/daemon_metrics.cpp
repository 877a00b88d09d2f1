#include "agent/core/daemon_metrics.h"

#include <array>
#include <initializer_list>
#include <utility>

namespace slipway::agent {
namespace {

using Labels = std::initializer_list<std::pair<std::string_view, std::string>>;

class Exposition {
public:
    void metric(std::string_view name, std::string_view kind, std::string_view help) {
        name_ = name;
        text_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
        text_.append(name).append(" ").append(kind).append("\n");
    }
    void sample(std::int64_t value, Labels labels = {}) {
        text_ += name_;
        char before = '{';
        for (const auto& [label, content] : labels) {
            text_.append(1, before).append(label).append("=\"").append(escaped(content)) += '"';
            before = ',';
        }
        text_.append(labels.size() == 0 ? " " : "} ").append(std::to_string(value)) += '\n';
    }
    void one(std::string_view name, std::string_view kind, std::string_view help,
             std::uint64_t value) {
        metric(name, kind, help);
        sample(static_cast<std::int64_t>(value));
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    static std::string escaped(const std::string& content) {
        std::string out;
        for (const char c : content) {
            if (c == '\\' || c == '"') {
                out += '\\';
            }
            out += c == '\n' ? ' ' : c;
        }
        return out;
    }
    std::string text_;
    std::string_view name_;
};

constexpr std::array all_phases{Phase::idle,        Phase::staging,      Phase::staged,
                                Phase::switching,   Phase::probing,      Phase::baking,
                                Phase::healthy,     Phase::rolling_back, Phase::rolled_back,
                                Phase::quarantined, Phase::failed};

void add_services(Exposition& out, const DaemonView& view) {
    out.metric("slipway_agent_service_state", "gauge", "1 for the state that the service is in.");
    for (const auto& [name, service] : view.services) {
        for (const auto phase : all_phases) {
            out.sample(service.state->phase == phase ? 1 : 0,
                       {{"service", name}, {"state", std::string(to_string(phase))}});
        }
    }
    out.metric("slipway_agent_service_state_since_timestamp_seconds", "gauge",
               "When the service entered its state.");
    for (const auto& [name, service] : view.services) {
        out.sample(service.state->since_unix_s, {{"service", name}});
    }
    out.metric("slipway_agent_service_running_info", "gauge", "1, with the release that runs.");
    for (const auto& [name, service] : view.services) {
        if (const auto& running = service.state->running) {
            out.sample(1, {{"service", name},
                           {"artifact", running->artifact.text()},
                           {"release", running->id().text}});
        }
    }
    out.metric("slipway_agent_service_quarantined_releases", "gauge",
               "Releases that failed on this host.");
    for (const auto& [name, service] : view.services) {
        out.sample(static_cast<std::int64_t>(service.state->quarantine.size()),
                   {{"service", name}});
    }
    out.metric("slipway_agent_service_step_tries", "gauge",
               "Failed tries of the step that is being done.");
    for (const auto& [name, service] : view.services) {
        out.sample(service.state->work ? service.state->work->tries : 0, {{"service", name}});
    }
}

void add_upstream(Exposition& out, const UpstreamStatus& upstream) {
    out.one("slipway_agent_upstream_connected", "gauge",
            "1 while an orchestrator answers this host.", upstream.is_connected ? 1 : 0);
    out.metric("slipway_agent_upstream_last_answer_timestamp_seconds", "gauge",
               "When an orchestrator answered last; 0: not yet.");
    out.sample(upstream.answered_unix_s);
    out.one("slipway_agent_upstream_answers_total", "counter", "Answers of orchestrators.",
            upstream.answers);
    out.one("slipway_agent_upstream_failures_total", "counter",
            "Calls of orchestrators without a good answer.", upstream.failures);
    out.one("slipway_agent_upstream_events_queued", "gauge",
            "Events that no orchestrator has taken yet.", upstream.events_queued);
    out.one("slipway_agent_upstream_events_dropped_total", "counter",
            "Events dropped because the queue was full.", upstream.events_dropped);
}

} // namespace

std::string daemon_metrics(const DaemonView& view) {
    Exposition out;
    out.metric("slipway_agent_build_info", "gauge", "1, with the version of the agent.");
    out.sample(1, {{"version", view.version}});
    out.metric("slipway_agent_start_timestamp_seconds", "gauge", "When the daemon started.");
    out.sample(view.started_unix_s);
    const auto& sharing = view.sharing;
    out.one("slipway_agent_packs_shared", "gauge", "Packs that are shared with peers.",
            sharing.packs);
    out.one("slipway_agent_packs_evicted_total", "counter", "Packs removed to keep the quota.",
            sharing.evicted_packs);
    out.one("slipway_agent_peers", "gauge", "Connected peers, over all swarms.", sharing.peers);
    out.one("slipway_agent_bittorrent_sent_bytes_total", "counter", "Payload sent to peers.",
            sharing.uploaded_bytes);
    out.one("slipway_agent_received_bytes_total", "counter", "Payload of packs received.",
            sharing.downloaded_bytes);
    add_services(out, view);
    if (view.upstream) {
        add_upstream(out, *view.upstream);
    }
    return out.take();
}

} // namespace slipway::agent
