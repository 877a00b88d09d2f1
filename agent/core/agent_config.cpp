#include "agent/core/agent_config.h"

#include <sstream>

#include <toml++/toml.h>

#include "common/core/errc.h"
#include "common/core/names.h"

namespace slipway::agent {
namespace {

// Takes the keys that are known; the first problem is kept, and what nobody took is one.
class Table {
public:
    Table(const toml::table& table, std::string name, std::string& problem)
        : table_(table), name_(std::move(name)), problem_(problem) {}
    ~Table() {
        for (const auto& [key, node] : table_) {
            if (!taken_.contains(std::string(key.str()))) {
                complain(std::string(key.str()), "is not known");
            }
        }
    }
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;

    void take(const char* key, std::string& into) {
        if (const auto* node = get(key)) {
            const auto text = node->value_exact<std::string>();
            text ? void(into = *text) : complain(key, "must be a text");
        }
    }
    void take(const char* key, std::vector<std::string>& into) {
        const auto* node = get(key);
        if (node == nullptr) {
            return;
        }
        const auto* list = node->as_array();
        if (list == nullptr || list->size() > 64) {
            complain(key, "must be a list of 64 texts at most");
            return;
        }
        into.clear();
        for (const auto& one : *list) {
            const auto text = one.value_exact<std::string>();
            text ? into.push_back(*text) : complain(key, "must be a list of texts");
        }
    }
    template <typename Number>
    void take_count(const char* key, Number& into, std::int64_t min, std::int64_t max) {
        if (const auto* node = get(key)) {
            const auto number = node->value_exact<std::int64_t>();
            if (number && *number >= min && *number <= max) {
                into = Number(*number);
            } else {
                complain(key, "must be a number from " + std::to_string(min) + " to " +
                                  std::to_string(max));
            }
        }
    }
    const toml::table* table(const char* key) {
        const auto* node = get(key);
        if (node != nullptr && node->as_table() == nullptr) {
            complain(key, "must be a table");
        }
        return node == nullptr ? nullptr : node->as_table();
    }
    void complain(const std::string& key, const std::string& why) {
        if (problem_.empty()) {
            const auto* node = table_.get(key);
            const auto line = node != nullptr ? node->source().begin.line : 0;
            problem_ = "line " + std::to_string(line) + ": " + name_ + key + " " + why;
        }
    }

private:
    const toml::node* get(const char* key) {
        taken_.insert({key, 0});
        return table_.get(key);
    }
    const toml::table& table_;
    std::string name_;
    std::string& problem_;
    std::map<std::string, int> taken_;
};

// [services.NAME.run] has the keys and rules of a run specification in a manifest.
ServiceConfig service_from(const toml::table& from, const std::string& name, std::string& problem) {
    ServiceConfig service;
    Table table(from, "services." + name + ".", problem);
    if (const auto* run = table.table("run")) {
        std::ostringstream text;
        text << toml::json_formatter(*run);
        auto spec = decode_run_spec(as_bytes(text.str()), "run");
        if (spec) {
            service.run = std::move(*spec);
        } else {
            table.complain("run", "is not a run specification: " + spec.error().context);
        }
    }
    return service;
}

AgentConfig config_from(const toml::table& from, std::string& problem) {
    AgentConfig config;
    Table table(from, "", problem);
    table.take("root", config.root);
    table.take("trust", config.trust);
    table.take("seeders", config.seeders);
    table.take("listen", config.listen);
    table.take_count("patience_s", config.patience, 1, 3'600);
    if (const auto* tls = table.table("tls")) {
        Table files(*tls, "tls.", problem);
        files.take("certificate", config.tls_certificate);
        files.take("key", config.tls_key);
        files.take("authority", config.tls_authority);
        files.take("revoked", config.tls_revoked);
    }
    if (const auto* services = table.table("services")) {
        for (const auto& [key, node] : *services) {
            const std::string name(key.str());
            if (!parse_service_name(name) || node.as_table() == nullptr) {
                table.complain("services", "has '" + name + "', which is no table of a service");
                continue;
            }
            config.services[name] = service_from(*node.as_table(), name, problem);
        }
    }
    if (config.seeders.empty()) {
        table.complain("seeders", "must name one at least");
    }
    return config;
}

} // namespace

Result<AgentConfig> parse_agent_config(std::string_view text, std::string_view what) {
    std::string problem;
    try {
        auto config = config_from(toml::parse(text), problem);
        if (problem.empty()) {
            return config;
        }
    } catch (const toml::parse_error& error) {
        problem = "line " + std::to_string(error.source().begin.line) + ": " +
                  std::string(error.description());
    }
    return fail(Errc::usage, std::string(what) + ": " + problem);
}

} // namespace slipway::agent
