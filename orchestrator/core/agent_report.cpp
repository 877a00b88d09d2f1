#include "orchestrator/core/agent_report.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/core/names.h"

namespace slipway::orchestrator {
namespace {

using nlohmann::json;

constexpr std::size_t services_max = 256;
constexpr std::size_t releases_max = 64;
constexpr std::size_t labels_max = 64;
constexpr std::size_t metrics_max = 1'024;
constexpr std::size_t events_max = 256;
constexpr std::size_t buckets_max = 256;
constexpr std::size_t text_max = 1'024;

// Takes fields out of objects; the first problem is kept and all that follows gives nothing.
class Reader {
public:
    [[nodiscard]] const std::string& problem() const { return problem_; }
    void refuse(const std::string& field, const std::string& why) {
        if (problem_.empty()) {
            problem_ = "the field " + field + " " + why;
        }
    }

    std::string text(const json& object, const char* field) {
        const auto* value = find(object, field);
        if (value == nullptr) {
            return {};
        }
        if (!value->is_string() || value->get_ref<const std::string&>().size() > text_max) {
            refuse(field, "must be a text of 1 KiB at most");
            return {};
        }
        return value->get<std::string>();
    }
    std::uint64_t number(const json& object, const char* field) {
        const auto* value = find(object, field);
        if (value == nullptr) {
            return 0;
        }
        if (!value->is_number_unsigned()) {
            refuse(field, "must be a number, 0 or more");
            return 0;
        }
        return value->get<std::uint64_t>();
    }
    bool flag(const json& object, const char* field) {
        const auto* value = find(object, field);
        if (value != nullptr && !value->is_boolean()) {
            refuse(field, "must be true or false");
        }
        return value != nullptr && value->is_boolean() && value->get<bool>();
    }
    /// A number that may be missing: then it is none.
    double real(const json& object, const char* field) {
        const auto* value = find(object, field);
        return value != nullptr && value->is_number() ? value->get<double>() : judge::no_number;
    }
    std::optional<Sha256Digest> digest(const json& value, const char* field) {
        if (value.is_string()) {
            if (const auto digest = Sha256Digest::from_hex(value.get_ref<const std::string&>())) {
                return *digest;
            }
        }
        refuse(field, "must be 64 hexadecimal digits");
        return std::nullopt;
    }
    /// The members of a list, or of an object; nothing if it is missing.
    const json& list(const json& object, const char* field, bool is_object, std::size_t max) {
        static const json nothing = json::array();
        const auto* value = find(object, field);
        if (value == nullptr) {
            return nothing;
        }
        if ((is_object ? !value->is_object() : !value->is_array()) || value->size() > max) {
            refuse(field, "must be " + std::string(is_object ? "an object" : "a list") + " of " +
                              std::to_string(max) + " at most");
            return nothing;
        }
        return *value;
    }
    static const json* find(const json& object, const char* field) {
        if (!object.is_object()) {
            return nullptr;
        }
        const auto found = object.find(field);
        return found == object.end() || found->is_null() ? nullptr : &*found;
    }

private:
    std::string problem_;
};

ServiceReport service_from(const json& value, Reader& reader) {
    ServiceReport service;
    service.state = reader.text(value, "state");
    service.ready = reader.flag(value, "ready");
    service.crashes = reader.number(value, "crashes");
    service.restarts = reader.number(value, "restarts");
    service.error = reader.text(value, "error");
    if (const auto* running = Reader::find(value, "running")) {
        auto& into = service.running.emplace();
        into.artifact = reader.text(*running, "artifact");
        if (const auto* digest = Reader::find(*running, "digest")) {
            into.digest = reader.digest(*digest, "running.digest");
        }
    }
    for (const auto& digest : reader.list(value, "staged", false, releases_max)) {
        if (const auto staged = reader.digest(digest, "staged")) {
            service.staged.push_back(*staged);
        }
    }
    for (const auto& one : reader.list(value, "bad", false, releases_max)) {
        const auto* named = Reader::find(one, "digest");
        const auto digest = reader.digest(named == nullptr ? json() : *named, "bad.digest");
        if (digest) {
            service.bad.push_back({*digest,
                                   static_cast<std::uint32_t>(reader.number(one, "attempt")),
                                   reader.text(one, "reason")});
        }
    }
    return service;
}

MetricReport metric_from(const json& value, Reader& reader) {
    MetricReport metric;
    metric.service = reader.text(value, "service");
    metric.name = reader.text(value, "name");
    metric.amount = reader.real(value, "amount");
    metric.exposure = reader.real(value, "exposure");
    metric.running_s = reader.number(value, "running_s");
    metric.process = reader.number(value, "process");
    for (const auto& bucket : reader.list(value, "buckets", false, buckets_max)) {
        metric.buckets.push_back(bucket.is_number() ? bucket.get<double>() : judge::no_number);
    }
    return metric;
}

void take_events(const json& events, AgentReport& into, Reader& reader) {
    into.stream = reader.text(events, "stream");
    for (const auto& one : reader.list(events, "items", false, events_max)) {
        const json body = {{"service", reader.text(one, "service")},
                           {"kind", reader.text(one, "kind")},
                           {"text", reader.text(one, "text")}};
        into.events.push_back({reader.number(one, "id"),
                               static_cast<std::int64_t>(reader.number(one, "at_ms")),
                               body.dump()});
    }
}

} // namespace

Result<AgentReport> parse_agent_report(std::string_view body, const std::string& host) {
    if (body.size() > agent_report_bytes_max) {
        return fail(Errc::usage, "the body has more than 256 KiB");
    }
    const auto value = json::parse(body, nullptr, false);
    if (!value.is_object() || value.value("version", json()) != 1) {
        return fail(Errc::usage, "the body is not a JSON object of version 1");
    }
    Reader reader;
    AgentReport out;
    out.report.host = host;
    out.report.boot = reader.text(value, "boot");
    out.report.epoch = reader.number(value, "epoch");
    out.report.generation = reader.number(value, "generation");
    out.wait_ms = std::min(reader.number(value, "wait_ms"), agent_wait_ms_max);
    for (const auto& [name, label] : reader.list(value, "labels", true, labels_max).items()) {
        if (!label.is_string() || name.size() > text_max ||
            label.get_ref<const std::string&>().size() > text_max) {
            reader.refuse("labels", "must hold texts of 1 KiB at most");
            break;
        }
        out.report.labels.emplace(name, label.get<std::string>());
    }
    for (const auto& [name, service] : reader.list(value, "services", true, services_max).items()) {
        if (!parse_service_name(name)) {
            reader.refuse("services", "has a name that no service can have");
            break;
        }
        out.report.services.emplace(name, service_from(service, reader));
    }
    for (const auto& metric : reader.list(value, "metrics", false, metrics_max)) {
        out.metrics.push_back(metric_from(metric, reader));
    }
    if (const auto* events = Reader::find(value, "events")) {
        take_events(*events, out, reader);
    }
    if (!reader.problem().empty()) {
        return fail(Errc::usage, reader.problem());
    }
    return out;
}

std::string encode_agent_answer(const AgentAnswer& answer) {
    // Nearly every answer says that nothing changed; it is put together without a JSON tree.
    std::string out = R"({"version":1,"epoch":)" + std::to_string(answer.epoch) +
                      R"(,"generation":)" + std::to_string(answer.generation) + R"(,"desired":)";
    out += answer.order == nullptr ? "null" : api::encode_desired(answer.order->desired);
    out += R"(,"events_to":)" + std::to_string(answer.events_to) + R"(,"wait_ms":)" +
           std::to_string(answer.wait_ms) + R"(,"status_ms":)" + std::to_string(answer.status_ms) +
           "}\n";
    return out;
}

} // namespace slipway::orchestrator
