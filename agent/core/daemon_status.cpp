#include "agent/core/daemon_status.h"

#include <nlohmann/json.hpp>

#include "agent/core/timeline_json.h"

namespace slipway::agent {

using nlohmann::json;

namespace {

json to_json(const std::optional<Release>& release) {
    return release ? json{{"artifact", release->artifact.text()},
                          {"digest", release->digest.hex()},
                          {"release", release->id().text}}
                   : json();
}

json to_json(const std::optional<UpstreamStatus>& upstream) {
    if (!upstream) {
        return nullptr;
    }
    return {{"url", upstream->url},
            {"connected", upstream->is_connected},
            {"since_unix_s", upstream->since_unix_s},
            {"answered_unix_s", upstream->answered_unix_s},
            {"epoch", upstream->epoch},
            {"generation", upstream->generation},
            {"events_queued", upstream->events_queued},
            {"events_dropped", upstream->events_dropped},
            {"error", upstream->error}};
}

json to_json(const ServiceView& view) {
    const auto& state = *view.state;
    json staged = json::array();
    for (const auto& release : state.staged) {
        staged.push_back(to_json(std::optional(release)));
    }
    json quarantine = json::array();
    for (const auto& bad : state.quarantine) {
        auto one = to_json(std::optional(bad.release));
        one["attempt"] = bad.attempt;
        one["why"] = bad.why;
        quarantine.push_back(std::move(one));
    }
    const auto& run = state.desired.run;
    json out = {{"state", to_string(state.phase)},
                {"since_unix_s", state.since_unix_s},
                {"epoch", state.epoch},
                {"wanted", run ? json(run->artifact.text()) : json()},
                {"running", to_json(state.running)},
                {"last_good", to_json(state.good)},
                {"staged", std::move(staged)},
                {"quarantine", std::move(quarantine)},
                {"step", state.work ? json(to_string(state.work->step())) : json()},
                {"tries", state.work ? json(state.work->tries) : json()},
                {"waits_ms", view.waits_ms ? json(*view.waits_ms) : json()},
                {"installation", view.installation ? timeline_json(*view.installation) : json()},
                {"last_error", state.last_error}};
    return out;
}

} // namespace

std::string daemon_summary(const DaemonView& view) {
    constexpr std::size_t named_max = 8;
    if (view.services.empty()) {
        return "no services";
    }
    std::string text;
    std::size_t named = 0;
    for (const auto& [name, service] : view.services) {
        if (++named > named_max) {
            text += "; and " + std::to_string(view.services.size() - named_max) + " more";
            break;
        }
        const auto& state = *service.state;
        text += (text.empty() ? "" : "; ") + name + " " + std::string(to_string(state.phase));
        if (state.running) {
            text += " (" + state.running->artifact.text() + ")";
        }
        if (state.work && state.work->tries > 0) {
            text += " (failed tries: " + std::to_string(state.work->tries) + ")";
        }
    }
    return text;
}

std::string encode_daemon_status(const DaemonView& view) {
    json all = json::object();
    for (const auto& [name, service] : view.services) {
        all[name] = to_json(service);
    }
    const auto& sharing = view.sharing;
    const json packs = {{"shared", sharing.packs},
                        {"peers", sharing.peers},
                        {"uploaded_bytes", sharing.uploaded_bytes},
                        {"downloaded_bytes", sharing.downloaded_bytes},
                        {"evicted", sharing.evicted_packs},
                        {"upload_bytes_per_s", view.rates.upload_bytes_per_s},
                        {"download_bytes_per_s", view.rates.download_bytes_per_s},
                        {"upload_bytes_per_s_max", sharing.limits.upload_bytes_per_s},
                        {"download_bytes_per_s_max", sharing.limits.download_bytes_per_s}};
    return json{{"version", 1},
                {"program", view.version},
                {"started_unix_s", view.started_unix_s},
                {"packs", packs},
                {"upstream", to_json(view.upstream)},
                {"services", std::move(all)}}
               .dump(-1, ' ', false, json::error_handler_t::replace) +
           "\n";
}

} // namespace slipway::agent
