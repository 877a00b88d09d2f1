#include "orchestrator/core/orchestrator_config.h"

#include "common/core/names.h"
#include "common/http/listen_address.h"

namespace slipway::orchestrator {
namespace {

constexpr std::size_t entries_max = 64;

/// Calls `use(name, table)` for each table of the table `key`, whose keys are names.
template <typename Use>
void each(config::Table& table, const char* key, Use use) {
    auto all = table.table(key);
    if (!all) {
        return;
    }
    const auto names = all->names();
    if (names.size() > entries_max) {
        table.complain(key, "has more than 64 entries");
    }
    for (const auto& name : names) {
        auto one = all->table(name.c_str());
        if (!parse_service_name(name)) {
            all->complain(name, "is no name: [a-z0-9][a-z0-9._-]*");
        } else if (one) {
            use(name, *one);
        }
    }
}

HookConfig hook_from(config::Table& table) {
    HookConfig hook;
    table.take("url", hook.url);
    table.take("secret_file", hook.secret_file);
    table.take("ca_file", hook.ca_file);
    table.take("plain_http", hook.plain_http);
    if (hook.url.empty()) {
        table.complain("url", "must be given");
    }
    if (hook.secret_file.empty()) {
        table.complain("secret_file", "must be given: messages are signed");
    }
    return hook;
}

PrometheusConfig prometheus_from(config::Table& table) {
    PrometheusConfig server;
    table.take("url", server.url);
    table.take("token_file", server.token_file);
    table.take("ca_file", server.ca_file);
    table.take("plain_http", server.plain_http);
    if (server.url.empty()) {
        table.complain("url", "must be given");
    }
    return server;
}

EnrollConfig enroll_from(config::Table& table) {
    EnrollConfig enroll;
    auto keys = table.table("enroll");
    if (!keys) {
        return enroll;
    }
    keys->take("listen", enroll.listen);
    keys->take("authority", enroll.authority);
    keys->take_count("days", enroll.days, 1, 36'500);
    if (!http::parse_listen_address(enroll.listen)) {
        keys->complain("listen", "must be given: IP:PORT");
    }
    if (enroll.authority.empty()) {
        keys->complain("authority", "must be given: the directory of `slipway ca init`");
    }
    return enroll;
}

} // namespace

OrchestratorConfig read_orchestrator_config(config::Table& table) {
    OrchestratorConfig config;
    table.take("database", config.database);
    table.take("listen", config.listen);
    table.take("repository", config.repository);
    table.take("trust", config.trust);
    table.take("state", config.state);
    table.take_count("idle_ms", config.idle_ms, 100, 30'000);
    table.take("json", config.json);
    config.tls = config::take_tls(table);
    config.enroll = enroll_from(table);
    each(table, "prometheus", [&](const std::string& name, config::Table& one) {
        config.prometheus[name] = prometheus_from(one);
    });
    each(table, "gates",
         [&](const std::string& name, config::Table& one) { config.gates[name] = hook_from(one); });
    each(table, "receivers", [&](const std::string& name, config::Table& one) {
        std::vector<std::string> kinds;
        one.take("kinds", kinds);
        auto& receiver = config.receivers[name] = hook_from(one);
        receiver.kinds = {kinds.begin(), kinds.end()};
    });
    if (!http::parse_listen_address(config.listen)) {
        table.complain("listen", "must be IP:PORT");
    }
    return config;
}

} // namespace slipway::orchestrator
