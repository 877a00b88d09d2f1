#include "common/api/sync.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/core/names.h"
#include "common/trust/canonical_json.h"

namespace slipway::api {

using nlohmann::json;

namespace {

// Takes fields out of objects; the first problem is kept.
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
        if (!value->is_string() ||
            value->get_ref<const std::string&>().size() > sync_text_bytes_max) {
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
    std::uint32_t attempt(const json& object) {
        const auto value = number(object, "attempt");
        if (value > UINT32_MAX) {
            refuse("attempt", "must be below 2^32");
        }
        return static_cast<std::uint32_t>(value);
    }
    bool flag(const json& object, const char* field) {
        const auto* value = find(object, field);
        if (value != nullptr && !value->is_boolean()) {
            refuse(field, "must be true or false");
        }
        return value != nullptr && value->is_boolean() && value->get<bool>();
    }
    /// A number that may be missing: then it is none.
    static double real(const json& object, const char* field) {
        const auto* value = find(object, field);
        return value != nullptr && value->is_number() ? value->get<double>()
                                                      : MetricReport::no_number;
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
    std::optional<Sha256Digest> maybe_digest(const json& object, const char* field) {
        const auto* value = find(object, "digest");
        return value == nullptr ? std::nullopt : digest(*value, field);
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

std::optional<ServiceReport::Running> running_from(const json& service, const char* field,
                                                   Reader& reader) {
    const auto* value = Reader::find(service, field);
    if (value == nullptr) {
        return std::nullopt;
    }
    ServiceReport::Running running;
    running.artifact = reader.text(*value, "artifact");
    running.digest = reader.maybe_digest(*value, "running.digest");
    running.since_ms = reader.number(*value, "since_ms");
    return running;
}

ServiceReport service_from(const json& value, Reader& reader) {
    ServiceReport service;
    service.state = reader.text(value, "state");
    service.ready = reader.flag(value, "ready");
    service.crashes = reader.number(value, "crashes");
    service.restarts = reader.number(value, "restarts");
    service.error = reader.text(value, "error");
    service.running = running_from(value, "running", reader);
    service.previous = running_from(value, "previous", reader);
    if (const auto* target = Reader::find(value, "target")) {
        service.target = {reader.text(*target, "artifact"),
                          reader.maybe_digest(*target, "target.digest"), reader.attempt(*target)};
    }
    for (const auto& digest : reader.list(value, "staged", false, sync_releases_max)) {
        if (const auto staged = reader.digest(digest, "staged")) {
            service.staged.push_back(*staged);
        }
    }
    for (const auto& one : reader.list(value, "bad", false, sync_releases_max)) {
        const auto* named = Reader::find(one, "digest");
        const auto digest = reader.digest(named == nullptr ? json() : *named, "bad.digest");
        if (digest) {
            service.bad.push_back({*digest, reader.attempt(one), reader.text(one, "reason")});
        }
    }
    return service;
}

MetricReport metric_from(const json& value, Reader& reader) {
    MetricReport metric;
    metric.service = reader.text(value, "service");
    metric.name = reader.text(value, "name");
    metric.kind = reader.text(value, "kind");
    metric.amount = Reader::real(value, "amount");
    metric.exposure = Reader::real(value, "exposure");
    metric.running_s = reader.number(value, "running_s");
    metric.process = reader.number(value, "process");
    for (const auto& bucket : reader.list(value, "buckets", false, sync_buckets_max)) {
        metric.buckets.push_back(bucket.is_number() ? bucket.get<double>()
                                                    : MetricReport::no_number);
    }
    return metric;
}

void take_events(const json& events, SyncReport& into, Reader& reader) {
    into.stream = reader.text(events, "stream");
    for (const auto& one : reader.list(events, "items", false, sync_events_max)) {
        into.events.push_back({reader.number(one, "id"), reader.number(one, "at_ms"),
                               reader.text(one, "service"), reader.text(one, "kind"),
                               reader.text(one, "text")});
    }
}

SyncReport report_from(const json& value, Reader& reader) {
    SyncReport out;
    out.boot = reader.text(value, "boot");
    out.number = reader.number(value, "number");
    out.epoch = reader.number(value, "epoch");
    out.generation = reader.number(value, "generation");
    out.wait_ms = std::min(reader.number(value, "wait_ms"), sync_wait_ms_max);
    for (const auto& [name, label] : reader.list(value, "labels", true, sync_labels_max).items()) {
        if (!label.is_string() || name.size() > sync_text_bytes_max ||
            label.get_ref<const std::string&>().size() > sync_text_bytes_max) {
            reader.refuse("labels", "must hold texts of 1 KiB at most");
            break;
        }
        out.labels.emplace(name, label.get<std::string>());
    }
    for (const auto& [name, service] :
         reader.list(value, "services", true, sync_services_max).items()) {
        if (!parse_service_name(name)) {
            reader.refuse("services", "has a name that no service can have");
            break;
        }
        out.services.emplace(name, service_from(service, reader));
    }
    for (const auto& metric : reader.list(value, "metrics", false, sync_metrics_max)) {
        out.metrics.push_back(metric_from(metric, reader));
    }
    if (const auto* events = Reader::find(value, "events")) {
        take_events(*events, out, reader);
    }
    return out;
}

Result<SyncAnswer> answer_from(const json& value, std::string_view what) {
    const auto refuse = [&](const std::string& why) {
        return fail(Errc::verification_failed, std::string(what) + ": " + why);
    };
    if (!value.is_object() || value.value("version", json()) != 1) {
        return refuse("the answer is not a JSON object of version 1");
    }
    Reader reader;
    SyncAnswer out;
    out.epoch = reader.number(value, "epoch");
    out.generation = reader.number(value, "generation");
    out.events_to = reader.number(value, "events_to");
    out.wait_ms = std::min(reader.number(value, "wait_ms"), sync_wait_ms_max);
    out.status_ms = std::min(reader.number(value, "status_ms"), sync_status_ms_max);
    if (!reader.problem().empty()) {
        return refuse(reader.problem());
    }
    const auto* desired = Reader::find(value, "desired");
    if (desired == nullptr) {
        return out;
    }
    const auto text = desired->dump();
    auto decoded = decode_desired(as_bytes(text), std::string(what) + ": desired");
    if (!decoded) {
        return tl::unexpected(std::move(decoded.error()));
    }
    if (decoded->epoch != out.epoch) {
        return refuse("desired.epoch is not the answer's");
    }
    decoded->generation = out.generation;
    out.desired = std::move(*decoded);
    return out;
}

} // namespace

Result<SyncReport> decode_sync_report(std::string_view body) {
    if (body.size() > sync_body_bytes_max) {
        return fail(Errc::usage, "the body has more than 256 KiB");
    }
    const auto value = json::parse(body, nullptr, false);
    if (!value.is_object() || value.value("version", json()) != 1) {
        return fail(Errc::usage, "the body is not a JSON object of version 1");
    }
    Reader reader;
    auto report = report_from(value, reader);
    if (!reader.problem().empty()) {
        return fail(Errc::usage, reader.problem());
    }
    return report;
}

Result<SyncAnswer> decode_sync_answer(ByteSpan body, std::string_view what) {
    // The answer holds a desired state, which has the same bound by itself.
    return parse_json(body, sync_body_bytes_max + 1'024, what).and_then([&](const json& value) {
        return answer_from(value, what);
    });
}

} // namespace slipway::api
