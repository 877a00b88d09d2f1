#include "orchestrator/core/records.h"

#include <array>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/trust/canonical_json.h"

namespace slipway::orchestrator {
namespace {

using Json = nlohmann::json;

// The fields of each record, once, for writing and for reading.
template <typename A>
void fields(A& a, EpochBegan& r) {
    a("epoch", r.epoch);
    a("holder", r.holder);
}
template <typename A>
void fields(A&, ClockKept&) {}
template <typename A>
void fields(A& a, HostSeen& r) {
    a("host", r.host);
    a("labels", r.labels);
}
template <typename A>
void fields(A& a, HostForgotten& r) {
    a("host", r.host);
    a("by", r.by);
}
template <typename A>
void fields(A& a, EnvironmentKey& r) {
    a("service", r.service);
    a("environment", r.environment);
}
template <typename A>
void fields(A& a, EnvironmentSpec& r) {
    a("selector", r.selector);
    a("strategy", r.strategy);
}
template <typename A>
void fields(A& a, EnvironmentPut& r) {
    fields(a, r.key);
    fields(a, r.spec);
    a("good", r.good);
    a("by", r.by);
}
template <typename A>
void fields(A& a, FreezePut& r) {
    a("scope", r.scope);
    a("by", r.by);
    a("why", r.why);
}
template <typename A>
void fields(A& a, FreezeRemoved& r) {
    a("scope", r.scope);
    a("by", r.by);
}
template <typename A>
void fields(A& a, Batch& r) {
    a("wave", r.wave);
    a("step", r.step);
    a("hosts", r.hosts);
    a("canary", r.canary);
    a("baseline", r.baseline);
    a("gates", r.gates);
}
template <typename A>
void fields(A& a, DeploymentCreated& r) {
    fields(a, r.key);
    a("from", r.from);
    a("to", r.to);
    a("strategy", r.strategy);
    a("plan_id", r.plan_id);
    a("batches", r.batches);
    a("is_rollback", r.is_rollback);
    a("emergency", r.emergency);
    a("by", r.by);
    a("why", r.why);
}
template <typename A>
void fields(A& a, StagingEnded& r) {
    a("missing", r.missing);
    a("by", r.by);
}
template <typename A>
void fields(A& a, HostsOrdered& r) {
    a("hosts", r.hosts);
    a("back", r.back);
}
template <typename A>
void fields(A& a, HostChange& r) {
    a("host", r.host);
    a("step", r.step);
    a("why", r.why);
}
template <typename A>
void fields(A& a, HostsChanged& r) {
    a("changes", r.changes);
}
template <typename A>
void fields(A& a, BatchReady& r) {
    a("batch", r.batch);
}
template <typename A>
void fields(A& a, GateAnswered& r) {
    a("batch", r.batch);
    a("gate", r.gate);
    a("verdict", r.verdict);
    a("why", r.why);
    a("by", r.by);
}
template <typename A>
void fields(A& a, Evidence& r) {
    a("gate", r.gate);
    a("verdict", r.verdict);
    a("why", r.why);
}
template <typename A>
void fields(A& a, BatchPassed& r) {
    a("batch", r.batch);
    a("evidence", r.evidence);
    a("by", r.by);
}
template <typename A>
void fields(A& a, BatchBegan& r) {
    a("batch", r.batch);
}
template <typename A, typename R>
void said(A& a, R& r) {
    a("by", r.by);
    a("why", r.why);
}
template <typename A>
void fields(A& a, Paused& r) {
    said(a, r);
}
template <typename A>
void fields(A& a, Resumed& r) {
    said(a, r);
}
template <typename A>
void fields(A& a, Promoted& r) {
    said(a, r);
}
template <typename A>
void fields(A& a, EmergencyDeclared& r) {
    said(a, r);
}
template <typename A>
void fields(A& a, RollbackBegan& r) {
    a("cause", r.cause);
    a("by", r.by);
    a("quarantine", r.quarantine);
    a("emergency", r.emergency);
}
template <typename A>
void fields(A& a, DeploymentEnded& r) {
    a("phase", r.phase);
    a("summary", r.summary);
}

constexpr std::array<std::string_view, std::variant_size_v<Record>> kinds{
    "epoch_began",     "clock_kept",    "host_seen",      "host_forgotten",
    "environment_put", "freeze_put",    "freeze_removed", "deployment_created",
    "staging_ended",   "hosts_ordered", "hosts_changed",  "batch_ready",
    "gate_answered",   "batch_passed",  "batch_began",    "paused",
    "resumed",         "promoted",      "rollback_began", "emergency_declared",
    "deployment_ended"};

constexpr std::array verdicts{std::pair{GateVerdict::pass, std::string_view("pass")},
                              std::pair{GateVerdict::fail, std::string_view("fail")},
                              std::pair{GateVerdict::hold, std::string_view("hold")}};

// Writes what is not empty.
class Writer {
public:
    explicit Writer(Json& object) : object_(object) {}
    template <typename T>
    void operator()(const char* name, T& value) {
        if (value != T()) {
            object_[name] = json(value);
        }
    }
    void operator()(const char* name, std::uint32_t& value) { object_[name] = value; }
    void operator()(const char* name, GateVerdict& value) { object_[name] = json(value); }
    void operator()(const char* name, Phase& value) { object_[name] = json(value); }
    void operator()(const char* name, HostStep& value) { object_[name] = json(value); }
    void operator()(const char* name, Release& value) { object_[name] = json(value); }
    void operator()(const char* name, Strategy& value) { object_[name] = json(value); }

private:
    template <typename T>
    static Json json(const T& value) {
        return value;
    }
    static Json json(Release& release) {
        Json value{{"artifact", release.artifact.text()}};
        if (release.digest) {
            value["digest"] = release.digest->hex();
        }
        if (release.attempt != 0) {
            value["attempt"] = release.attempt;
        }
        return value;
    }
    static Json json(std::optional<Release>& release) { return json(*release); }
    static Json json(Strategy& strategy) { return Json::parse(encode_strategy(strategy)); }
    static Json json(std::optional<Strategy>& strategy) { return json(*strategy); }
    static Json json(GateVerdict& verdict) {
        for (const auto& [one, word] : verdicts) {
            if (one == verdict) {
                return word;
            }
        }
        return Json();
    }
    static Json json(Phase& phase) { return to_string(phase); }
    static Json json(HostStep& step) { return to_string(step); }
    template <typename T>
    static Json nested(std::vector<T>& values) {
        Json list = Json::array();
        for (auto& value : values) {
            Json object = Json::object();
            Writer writer(object);
            fields(writer, value);
            list.push_back(std::move(object));
        }
        return list;
    }
    static Json json(std::vector<Batch>& values) { return nested(values); }
    static Json json(std::vector<HostChange>& values) { return nested(values); }
    static Json json(std::vector<Evidence>& values) { return nested(values); }
    Json& object_;
};

// Reads what is there; the first problem is kept.
class Fields {
public:
    Fields(const Json& object, std::string& problem) : object_(object), problem_(problem) {}
    template <typename T>
    void operator()(const char* name, T& value) {
        const auto found = object_.find(name);
        if (found == object_.end()) {
            constexpr bool is_needed = std::is_same_v<T, Release> || std::is_same_v<T, Strategy>;
            if (is_needed && problem_.empty()) {
                problem_ = std::string(name) + " is missing";
            }
        } else if (!read(*found, value) && problem_.empty()) {
            problem_ = std::string(name) + " is malformed";
        }
    }

private:
    static bool read(const Json& json, std::string& value) {
        if (json.is_string()) {
            value = json.get<std::string>();
        }
        return json.is_string();
    }
    static bool read(const Json& json, bool& value) {
        if (json.is_boolean()) {
            value = json.get<bool>();
        }
        return json.is_boolean();
    }
    static bool read(const Json& json, std::uint64_t& value) {
        if (json.is_number_unsigned()) {
            value = json.get<std::uint64_t>();
        }
        return json.is_number_unsigned();
    }
    static bool read(const Json& json, std::uint32_t& value) {
        std::uint64_t wide = 0;
        if (!read(json, wide) || wide > UINT32_MAX) {
            return false;
        }
        value = static_cast<std::uint32_t>(wide);
        return true;
    }
    static bool read(const Json& json, Labels& value) {
        if (!json.is_object()) {
            return false;
        }
        for (const auto& [name, label] : json.items()) {
            if (!read(label, value[name])) {
                return false;
            }
        }
        return true;
    }
    template <typename T>
    static bool read(const Json& json, std::vector<T>& value) {
        if (!json.is_array()) {
            return false;
        }
        for (const auto& one : json) {
            if (!read(one, value.emplace_back())) {
                return false;
            }
        }
        return true;
    }
    template <typename T>
    static bool read(const Json& json, std::optional<T>& value) {
        return read(json, value.emplace());
    }
    static bool read(const Json& json, Release& value) {
        if (!json.is_object()) {
            return false;
        }
        std::string artifact;
        std::string digest;
        std::string problem;
        Fields reader(json, problem);
        reader("artifact", artifact);
        reader("digest", digest);
        reader("attempt", value.attempt);
        auto id = ArtifactId::parse(artifact);
        auto bytes = Sha256Digest::from_hex(digest);
        if (!id || (!digest.empty() && !bytes) || !problem.empty()) {
            return false;
        }
        value.artifact = std::move(*id);
        value.digest = digest.empty() ? std::nullopt : std::optional(*bytes);
        return true;
    }
    static bool read(const Json& json, Strategy& value) {
        auto strategy = parse_strategy(json.is_object() ? json.dump() : "?", "strategy");
        if (strategy) {
            value = std::move(*strategy);
        }
        return strategy.has_value();
    }
    static bool read(const Json& json, GateVerdict& value) {
        for (const auto& [one, word] : verdicts) {
            if (json == word) {
                value = one;
                return true;
            }
        }
        return false;
    }
    template <typename Enum>
    static bool read_word(const Json& json, Enum& value, Enum last) {
        for (int i = 0; i <= static_cast<int>(last); ++i) {
            if (json == to_string(static_cast<Enum>(i))) {
                value = static_cast<Enum>(i);
                return true;
            }
        }
        return false;
    }
    static bool read(const Json& json, Phase& value) {
        return read_word(json, value, Phase::failed);
    }
    static bool read(const Json& json, HostStep& value) {
        return read_word(json, value, HostStep::stuck);
    }
    template <typename T>
    static bool read_nested(const Json& json, T& value) {
        std::string problem;
        if (!json.is_object()) {
            return false;
        }
        Fields reader(json, problem);
        fields(reader, value);
        return problem.empty();
    }
    static bool read(const Json& json, Batch& value) { return read_nested(json, value); }
    static bool read(const Json& json, HostChange& value) { return read_nested(json, value); }
    static bool read(const Json& json, Evidence& value) { return read_nested(json, value); }

    const Json& object_;
    std::string& problem_;
};

template <typename R>
constexpr bool is_of_a_deployment = requires(R r) { r.deployment; };

// The record of `kind`, empty; nothing if there is no such kind.
template <std::size_t I = 0>
std::optional<Record> empty_record(std::string_view kind) {
    if constexpr (I == std::variant_size_v<Record>) {
        return std::nullopt;
    } else {
        return kinds[I] == kind ? std::optional<Record>(Record(std::in_place_index<I>))
                                : empty_record<I + 1>(kind);
    }
}

} // namespace

std::string_view kind_of(const Record& record) {
    return kinds[record.index()];
}

std::string deployment_of(const Record& record) {
    return std::visit(
        []<typename R>(const R& one) {
            if constexpr (is_of_a_deployment<R>) {
                return one.deployment;
            } else {
                return std::string();
            }
        },
        record);
}

std::string encode_record(const Logged& logged) {
    Json object{{"version", 1}, {"clock_ms", logged.clock_ms}};
    auto copy = logged.record; // One list of fields serves reading and writing.
    std::visit(
        [&]<typename R>(R& one) {
            Writer writer(object);
            fields(writer, one);
            if constexpr (is_of_a_deployment<R>) {
                object["deployment"] = one.deployment;
            }
        },
        copy);
    return object.dump();
}

Result<Logged> decode_record(std::string_view kind, std::int64_t at_unix_ms, std::string_view body,
                             std::string_view what) {
    const auto refused = [&](const std::string& why) {
        return fail(Errc::verification_failed, std::string(what) + ": " + why);
    };
    auto record = empty_record(kind);
    if (!record) {
        return refused("a record of the kind '" + printable(kind.substr(0, 60)) +
                       "' is not known: a newer Slipway wrote it");
    }
    auto object = parse_json(as_bytes(body), record_bytes_max, what);
    if (!object) {
        return tl::unexpected(std::move(object.error()));
    }
    if (!object->is_object() || object->value("version", Json()) != 1) {
        return refused("version must be 1");
    }
    const auto clock = object->value("clock_ms", Json());
    if (!clock.is_number_unsigned() || clock.get<std::uint64_t>() > INT64_MAX / 2) {
        return refused("clock_ms is malformed");
    }
    Logged logged{std::move(*record), at_unix_ms, clock.get<std::int64_t>()};
    std::string problem;
    std::visit(
        [&]<typename R>(R& one) {
            Fields reader(*object, problem);
            fields(reader, one);
            if constexpr (is_of_a_deployment<R>) {
                reader("deployment", one.deployment);
            }
        },
        logged.record);
    return problem.empty() ? Result<Logged>(std::move(logged)) : refused(problem);
}

} // namespace slipway::orchestrator
