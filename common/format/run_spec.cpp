#include "common/format/run_spec.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/core/numbers.h"
#include "common/format/manifest.h"
#include "common/trust/canonical_json.h"

namespace slipway {
namespace {

using nlohmann::json;

constexpr std::uint64_t version = 1;
constexpr std::size_t text_bytes_max = 1024;

/// Takes members out of one object, and notes the first that is not what it must be. Members that
/// nobody asked for are refused by finish().
class Reader {
public:
    Reader(const json& object, std::string what, std::string& complaint)
        : object_(object), what_(std::move(what)), complaint_(complaint) {
        if (!object_.is_object()) {
            complain("is not an object");
        }
    }

    const json* find(const char* key) {
        known_.insert(key);
        const auto found = object_.is_object() ? object_.find(key) : object_.end();
        return found == object_.end() ? nullptr : &*found;
    }
    void text(const char* key, std::string& out) {
        const auto* value = find(key);
        if (value == nullptr) {
            return;
        }
        const auto* text = value->get_ptr<const std::string*>();
        if (text == nullptr || text->empty() || text->size() > text_bytes_max ||
            printable(*text) != *text) {
            return complain(key, "is not a plain text of 1 to 1024 bytes");
        }
        out = *text;
    }
    void duration(const char* key, Milliseconds& out, Milliseconds min) {
        std::string value = duration_text(out);
        text(key, value);
        const auto parsed = parse_duration(value);
        if (!parsed || *parsed < min) {
            return complain(key, parsed ? "is shorter than " + duration_text(min)
                                        : parsed.error().context);
        }
        out = *parsed;
    }
    void size(const char* key, std::uint64_t& out, std::uint64_t min, std::uint64_t max) {
        std::string value = size_text(out);
        text(key, value);
        const auto parsed = parse_size(value);
        if (!parsed || *parsed < min || *parsed > max) {
            return complain(key, parsed
                                     ? "is not between " + size_text(min) + " and " + size_text(max)
                                     : parsed.error().context);
        }
        out = *parsed;
    }
    void count(const char* key, std::uint64_t& out, std::uint64_t min, std::uint64_t max) {
        if (const auto* value = find(key); value != nullptr) {
            if (!value->is_number_integer() || *value < min || *value > max) {
                return complain(key, "is not a number from " + std::to_string(min) + " to " +
                                         std::to_string(max));
            }
            out = value->get<std::uint64_t>();
        }
    }
    void arguments(std::vector<std::string>& out) {
        const auto* value = find("argv");
        if (value == nullptr || !value->is_array() || value->empty() ||
            value->size() > run_arguments_max) {
            return complain("argv", "is not a list of 1 to 64 texts");
        }
        for (const auto& argument : *value) {
            if (!argument.is_string() ||
                argument.get_ref<const std::string&>().size() > run_argument_bytes_max ||
                argument.get_ref<const std::string&>().find('\0') != std::string::npos) {
                return complain("argv", "holds what is not a text of at most 4096 bytes");
            }
            out.push_back(argument.get<std::string>());
        }
        if (!is_program_path(out.front())) {
            complain("argv", "does not begin with a path in the release ('hooks/check') or an "
                             "absolute one");
        }
    }
    void complain(const std::string& key, const std::string& why) {
        complain("'" + key + "' " + why);
    }
    void complain(const std::string& why) {
        if (complaint_.empty()) {
            complaint_ = what_ + ": " + why;
        }
    }
    void finish() {
        if (!object_.is_object()) {
            return;
        }
        for (const auto& [key, value] : object_.items()) {
            if (!known_.contains(key)) {
                complain("'" + key.substr(0, 64) + "' is not a key here");
            }
        }
    }
    [[nodiscard]] std::string at(const std::string& key) const { return what_ + ": " + key; }
    [[nodiscard]] std::string& complaint() { return complaint_; }

private:
    static bool is_program_path(const std::string& path) {
        return !path.empty() && path.find("..") == std::string::npos &&
               path.size() <= text_bytes_max;
    }

    const json& object_;
    std::string what_;
    std::string& complaint_;
    std::set<std::string> known_;
};

void read_limits(Reader& reader, RunProgram& program) {
    reader.size("memory", program.memory_bytes, 1ULL << 20U, 1ULL << 40U);
    reader.size("output", program.output_bytes, 0, 1ULL << 20U);
    reader.count("tasks", program.tasks, 1, 65'536);
}

RunProgram read_program(const json& object, std::string what, std::string& complaint) {
    RunProgram program;
    Reader reader(object, std::move(what), complaint);
    reader.arguments(program.argv);
    reader.duration("deadline", program.deadline, Milliseconds(100));
    read_limits(reader, program);
    reader.finish();
    return program;
}

std::string read_unit_name(Reader& reader, const char* key) {
    std::string name;
    reader.text(key, name);
    if (!name.empty() && !parse_unit_name(name)) {
        reader.complain(key, "is not a systemd unit's name, for example web.service");
    }
    return name;
}

RunUnit read_unit(const json& object, std::string what, std::string& complaint) {
    RunUnit unit;
    Reader reader(object, std::move(what), complaint);
    unit.name = read_unit_name(reader, "name");
    if (unit.name.empty()) {
        reader.complain("name", "is missing");
    }
    std::string action(to_string(unit.action));
    reader.text("action", action);
    if (action != "restart" && action != "reload") {
        reader.complain("action", "is neither restart nor reload");
    }
    unit.action = action == "reload" ? UnitAction::reload : UnitAction::restart;
    reader.duration("timeout", unit.timeout, Milliseconds(100));
    reader.finish();
    return unit;
}

RunCommand read_command(const json& object, std::string what, std::string& complaint) {
    RunCommand command;
    Reader reader(object, std::move(what), complaint);
    reader.arguments(command.argv);
    reader.duration("stop_timeout", command.stop_timeout, Milliseconds(0));
    reader.finish();
    return command;
}

/// A bound of a metric, kept as the text that was given: there is no floating-point number in
/// canonical JSON.
void read_bound(Reader& reader, const char* key, std::optional<std::string>& out) {
    if (reader.find(key) == nullptr) {
        return;
    }
    std::string text;
    reader.text(key, text);
    if (!parse_number<double>(text) || text.size() > 32) {
        return reader.complain(key, "is not a decimal number in quotes");
    }
    out = text;
}

void read_target(Reader& reader, ProbeSpec& probe) {
    if (probe.kind == ProbeKind::http || probe.kind == ProbeKind::metric) {
        reader.text("url", probe.url);
        if (!probe.url.starts_with("http://") && !probe.url.starts_with("https://")) {
            reader.complain("url", "is not an http:// or https:// URL");
        }
    }
    if (probe.kind == ProbeKind::metric) {
        reader.text("metric", probe.metric);
        read_bound(reader, "min", probe.min);
        read_bound(reader, "max", probe.max);
        if (probe.metric.empty() || (!probe.min && !probe.max)) {
            reader.complain("a metric probe needs 'metric', and 'min' or 'max'");
        }
    }
    if (probe.kind == ProbeKind::tcp) {
        reader.text("address", probe.address);
        const auto colon = probe.address.rfind(':');
        if (colon == std::string::npos || colon == 0 || colon + 1 == probe.address.size()) {
            reader.complain("address", "is not HOST:PORT");
        }
    }
    if (probe.kind == ProbeKind::systemd) {
        probe.unit = read_unit_name(reader, "unit");
    }
    if (probe.kind == ProbeKind::exec) {
        reader.arguments(probe.program.argv);
        read_limits(reader, probe.program);
    }
}

ProbeSpec read_probe(const json& object, std::string what, std::string& complaint) {
    constexpr std::array kinds = {ProbeKind::http, ProbeKind::tcp, ProbeKind::exec,
                                  ProbeKind::systemd, ProbeKind::metric};
    ProbeSpec probe;
    Reader reader(object, std::move(what), complaint);
    std::string type;
    reader.text("type", type);
    const auto* const kind =
        std::ranges::find_if(kinds, [&](ProbeKind one) { return to_string(one) == type; });
    if (kind == kinds.end()) {
        reader.complain("type", "is none of http, tcp, exec, systemd, metric");
        return probe;
    }
    probe.kind = *kind;
    read_target(reader, probe);
    reader.duration("interval", probe.interval, Milliseconds(100));
    reader.duration("timeout", probe.timeout, Milliseconds(10));
    reader.duration("start_period", probe.start_period, Milliseconds(0));
    reader.count("successes", probe.successes, 1, 1'000);
    reader.count("failures", probe.failures, 1, 1'000);
    reader.finish();
    if (probe.kind == ProbeKind::exec) {
        probe.program.deadline = probe.timeout;
    }
    return probe;
}

void read_hooks(Reader& reader, RunSpec& spec) {
    const auto* object = reader.find("hooks");
    if (object == nullptr) {
        return;
    }
    Reader hooks(*object, reader.at("hooks"), reader.complaint());
    for (const auto hook : all_hooks) {
        const std::string name(to_string(hook));
        if (const auto* program = hooks.find(name.c_str()); program != nullptr) {
            spec.hooks[hook] = read_program(*program, hooks.at(name), reader.complaint());
        }
    }
    hooks.finish();
}

void read_probes(Reader& reader, RunSpec& spec) {
    const auto* list = reader.find("probes");
    if (list == nullptr) {
        return;
    }
    if (!list->is_array() || list->size() > run_probes_max) {
        return reader.complain("probes", "is not a list of at most 16 probes");
    }
    for (const auto& probe : *list) {
        spec.probes.push_back(
            read_probe(probe, reader.at("probe " + std::to_string(spec.probes.size() + 1)),
                       reader.complaint()));
    }
}

void check_together(Reader& reader, const RunSpec& spec) {
    if (spec.unit && spec.command) {
        reader.complain("'unit' and 'command' exclude each other");
    }
    for (const auto& probe : spec.probes) {
        if (probe.kind == ProbeKind::systemd && probe.unit.empty() && !spec.unit) {
            reader.complain("a systemd probe needs a 'unit', its own or the service's");
        }
    }
}

json program_json(const RunProgram& program, bool with_deadline) {
    const RunProgram usual;
    json out = {{"argv", program.argv}};
    if (with_deadline && program.deadline != usual.deadline) {
        out["deadline"] = duration_text(program.deadline);
    }
    if (program.memory_bytes != usual.memory_bytes) {
        out["memory"] = size_text(program.memory_bytes);
    }
    if (program.output_bytes != usual.output_bytes) {
        out["output"] = size_text(program.output_bytes);
    }
    if (program.tasks != usual.tasks) {
        out["tasks"] = program.tasks;
    }
    return out;
}

json probe_json(const ProbeSpec& probe) {
    const ProbeSpec usual;
    json out = probe.kind == ProbeKind::exec ? program_json(probe.program, false) : json::object();
    out["type"] = to_string(probe.kind);
    const auto text = [&](const char* key, const std::string& value) {
        if (!value.empty()) {
            out[key] = value;
        }
    };
    text("url", probe.url);
    text("address", probe.address);
    text("unit", probe.unit);
    text("metric", probe.metric);
    text("min", probe.min.value_or(""));
    text("max", probe.max.value_or(""));
    const auto duration = [&](const char* key, Milliseconds ProbeSpec::* member) {
        text(key, probe.*member == usual.*member ? "" : duration_text(probe.*member));
    };
    duration("interval", &ProbeSpec::interval);
    duration("timeout", &ProbeSpec::timeout);
    duration("start_period", &ProbeSpec::start_period);
    if (probe.successes != usual.successes) {
        out["successes"] = probe.successes;
    }
    if (probe.failures != usual.failures) {
        out["failures"] = probe.failures;
    }
    return out;
}

json unit_json(const RunUnit& unit) {
    json out = {{"name", unit.name}};
    if (unit.action != UnitAction::restart) {
        out["action"] = to_string(unit.action);
    }
    if (unit.timeout != RunUnit().timeout) {
        out["timeout"] = duration_text(unit.timeout);
    }
    return out;
}

json command_json(const RunCommand& command) {
    json out = {{"argv", command.argv}};
    if (command.stop_timeout != RunCommand().stop_timeout) {
        out["stop_timeout"] = duration_text(command.stop_timeout);
    }
    return out;
}

} // namespace

json run_spec_json(const RunSpec& spec) {
    json out = {{"version", version}};
    if (spec.unit) {
        out["unit"] = unit_json(*spec.unit);
    }
    if (spec.command) {
        out["command"] = command_json(*spec.command);
    }
    for (const auto& [hook, program] : spec.hooks) {
        out["hooks"][std::string(to_string(hook))] = program_json(program, true);
    }
    for (const auto& probe : spec.probes) {
        out["probes"].push_back(probe_json(probe));
    }
    if (spec.ready_within != RunSpec().ready_within) {
        out["ready_within"] = duration_text(spec.ready_within);
    }
    if (spec.bake.count() != 0) {
        out["bake"] = duration_text(spec.bake);
    }
    if (spec.bake_restarts != 0) {
        out["bake_restarts"] = spec.bake_restarts;
    }
    return out;
}

Result<RunSpec> parse_run_spec(const json& document, std::string_view what) {
    RunSpec spec;
    std::string complaint;
    Reader reader(document, std::string(what), complaint);
    std::uint64_t found = 0;
    reader.count("version", found, version, version);
    if (found != version) {
        reader.complain("version", "is not 1, the version that this program knows");
    }
    if (const auto* unit = reader.find("unit"); unit != nullptr) {
        spec.unit = read_unit(*unit, reader.at("unit"), complaint);
    }
    if (const auto* command = reader.find("command"); command != nullptr) {
        spec.command = read_command(*command, reader.at("command"), complaint);
    }
    read_hooks(reader, spec);
    read_probes(reader, spec);
    reader.duration("ready_within", spec.ready_within, Milliseconds(100));
    reader.duration("bake", spec.bake, Milliseconds(0));
    reader.count("bake_restarts", spec.bake_restarts, 0, 1'000);
    check_together(reader, spec);
    reader.finish();
    if (!complaint.empty()) {
        return fail(Errc::verification_failed, complaint);
    }
    return spec;
}

Result<RunSpec> decode_run_spec(ByteSpan text, std::string_view what) {
    return parse_json(text, run_spec_bytes_max, what).and_then([&](const json& document) {
        return parse_run_spec(document, what);
    });
}

} // namespace slipway
