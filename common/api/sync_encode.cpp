#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "common/api/sync.h"

namespace slipway::api {

using nlohmann::json;

namespace {

// The bytes of the UTF-8 sequence at the beginning of `text`; 0: there is none. RFC 3629.
std::size_t sequence_bytes(std::string_view text) {
    const auto byte = [&](std::size_t at) {
        return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
    };
    const auto continues = [&](std::size_t at) { return (byte(at) & 0xc0U) == 0x80U; };
    const unsigned first = byte(0);
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xc2 && first < 0xe0) {
        return continues(1) ? 2 : 0;
    }
    if (first >= 0xe0 && first < 0xf0) {
        const bool is_long = first == 0xe0 && byte(1) < 0xa0;
        const bool is_surrogate = first == 0xed && byte(1) >= 0xa0;
        return continues(1) && continues(2) && !is_long && !is_surrogate ? 3 : 0;
    }
    if (first >= 0xf0 && first < 0xf5) {
        const bool is_beyond =
            (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) >= 0x90);
        return continues(1) && continues(2) && continues(3) && !is_beyond ? 4 : 0;
    }
    return 0;
}

json number_or_null(double number) {
    return std::isfinite(number) ? json(number) : json();
}

json to_json(const std::optional<Sha256Digest>& digest) {
    return digest ? json(digest->hex()) : json();
}
json to_json(const std::optional<ServiceReport::Running>& running) {
    if (!running) {
        return nullptr;
    }
    json value = {{"artifact", running->artifact}, {"digest", to_json(running->digest)}};
    if (running->since_ms != 0) {
        value["since_ms"] = running->since_ms;
    }
    return value;
}

json to_json(const ServiceReport& service) {
    json value = {{"state", service.state},
                  {"running", to_json(service.running)},
                  {"previous", to_json(service.previous)},
                  {"target", nullptr},
                  {"staged", json::array()},
                  {"ready", service.ready},
                  {"bad", json::array()},
                  {"crashes", service.crashes},
                  {"restarts", service.restarts},
                  {"error", service.error}};
    if (const auto& target = service.target) {
        value["target"] = {{"artifact", target->artifact},
                           {"digest", to_json(target->digest)},
                           {"attempt", target->attempt}};
    }
    for (const auto& digest : service.staged) {
        value["staged"].push_back(digest.hex());
    }
    for (const auto& bad : service.bad) {
        value["bad"].push_back(
            {{"digest", bad.digest.hex()}, {"attempt", bad.attempt}, {"reason", bad.reason}});
    }
    return value;
}

json to_json(const MetricReport& metric) {
    json value = {{"service", metric.service},
                  {"name", metric.name},
                  {"kind", metric.kind},
                  {"amount", number_or_null(metric.amount)},
                  {"exposure", number_or_null(metric.exposure)},
                  {"running_s", metric.running_s},
                  {"process", metric.process}};
    for (const auto bucket : metric.buckets) {
        value["buckets"].push_back(number_or_null(bucket));
    }
    return value;
}

json to_json(const AgentEvent& event) {
    return {{"id", event.id},
            {"at_ms", event.at_ms},
            {"service", event.service},
            {"kind", event.kind},
            {"text", event.text}};
}

template <typename List>
void keep_last(List& list, std::size_t count) {
    if (list.size() > count) {
        list.erase(list.begin(), list.end() - static_cast<std::ptrdiff_t>(count));
    }
}
template <typename Items>
void keep_first(Items& items, std::size_t count) {
    while (items.size() > count) {
        items.erase(std::prev(items.end()));
    }
}

struct Room {
    std::size_t text_bytes;
    std::size_t releases;
    std::size_t metrics;
    std::size_t labels;
};
// From all that the bounds allow to what any host finds room for.
constexpr std::array rooms{
    Room{sync_text_bytes_max, sync_releases_max, sync_metrics_max, sync_labels_max},
    Room{256, 16, 256, sync_labels_max}, Room{64, 4, 32, sync_labels_max}, Room{16, 2, 0, 16}};

void fit(ServiceReport& service, const Room& room) {
    service.error = sync_text(service.error, room.text_bytes);
    for (auto* running : {&service.running, &service.previous}) {
        if (*running) {
            (*running)->artifact = sync_text((*running)->artifact);
        }
    }
    keep_first(service.staged, room.releases);
    keep_last(service.bad, room.releases);
    for (auto& bad : service.bad) {
        bad.reason = sync_text(bad.reason, room.text_bytes);
    }
}

void fit(SyncReport& report, const Room& room) {
    keep_first(report.services, sync_services_max);
    for (auto& [name, service] : report.services) {
        fit(service, room);
    }
    keep_first(report.labels, room.labels);
    keep_first(report.metrics, room.metrics);
    for (auto& metric : report.metrics) {
        keep_first(metric.buckets, sync_buckets_max);
    }
}

} // namespace

std::string sync_text(std::string_view text, std::size_t bytes_max) {
    std::string out;
    while (!text.empty()) {
        const auto bytes = sequence_bytes(text);
        const auto taken = std::max<std::size_t>(bytes, 1);
        if (out.size() + taken > bytes_max) {
            break;
        }
        bytes == 0 ? out.append(1, '?') : out.append(text.substr(0, bytes));
        text.remove_prefix(taken);
    }
    return out;
}

void fit_sync_report(SyncReport& report, std::size_t bytes_max) {
    // Events are told apart from the rest: they wait for their turn.
    auto events = std::exchange(report.events, {});
    for (const auto& room : rooms) {
        fit(report, room);
        if (encode_sync_report(report).size() <= bytes_max) {
            break;
        }
    }
    auto left = bytes_max - std::min(bytes_max, encode_sync_report(report).size());
    for (auto& event : events) {
        event.text = sync_text(event.text);
        const auto needed = to_json(event).dump().size() + 1;
        if (report.events.size() == sync_events_max || needed > left) {
            break;
        }
        left -= needed;
        report.events.push_back(std::move(event));
    }
}

std::string encode_sync_report(const SyncReport& report) {
    json services = json::object();
    for (const auto& [name, service] : report.services) {
        services[name] = to_json(service);
    }
    json metrics = json::array();
    for (const auto& metric : report.metrics) {
        metrics.push_back(to_json(metric));
    }
    json events = json::array();
    for (const auto& event : report.events) {
        events.push_back(to_json(event));
    }
    return json{{"version", 1},
                {"boot", report.boot},
                {"number", report.number},
                {"epoch", report.epoch},
                {"generation", report.generation},
                {"wait_ms", report.wait_ms},
                {"labels", report.labels},
                {"services", std::move(services)},
                {"metrics", std::move(metrics)},
                {"events", {{"stream", report.stream}, {"items", std::move(events)}}}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string encode_sync_answer(const SyncAnswer& answer) {
    // Nearly every answer says that nothing changed; it is put together without a JSON tree.
    std::string out = R"({"version":1,"epoch":)" + std::to_string(answer.epoch) +
                      R"(,"generation":)" + std::to_string(answer.generation) + R"(,"desired":)";
    out += answer.desired ? encode_desired(*answer.desired) : "null";
    out += R"(,"events_to":)" + std::to_string(answer.events_to) + R"(,"wait_ms":)" +
           std::to_string(answer.wait_ms) + R"(,"status_ms":)" + std::to_string(answer.status_ms) +
           "}\n";
    return out;
}

} // namespace slipway::api
