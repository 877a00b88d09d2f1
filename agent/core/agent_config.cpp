#include "agent/core/agent_config.h"

#include "common/core/errc.h"
#include "common/core/names.h"

namespace slipway::agent {
namespace {

// [services.NAME.run] has the keys and rules of a run specification in a manifest.
ServiceConfig service_from(config::Table& table) {
    ServiceConfig service;
    if (auto run = table.table("run")) {
        auto spec = decode_run_spec(as_bytes(run->json()), "run");
        if (spec) {
            service.run = std::move(*spec);
        } else {
            table.complain("run", "is not a run specification: " + spec.error().context);
        }
    }
    return service;
}

} // namespace

AgentConfig read_agent_config(config::Table& table) {
    AgentConfig config;
    table.take("root", config.root);
    table.take("trust", config.trust);
    table.take("seeders", config.seeders);
    table.take("listen", config.listen);
    table.take("installer", config.installer);
    table.take_count("patience_s", config.patience, 1, 3'600);
    if (auto tls = table.table("tls")) {
        tls->take("certificate", config.tls_certificate);
        tls->take("key", config.tls_key);
        tls->take("authority", config.tls_authority);
        tls->take("revoked", config.tls_revoked);
    }
    if (auto services = table.table("services")) {
        for (const auto& name : services->names()) {
            auto service = services->table(name.c_str());
            if (!parse_service_name(name)) {
                services->complain(name, "is no name of a service");
            } else if (service) {
                config.services[name] = service_from(*service);
            }
        }
    }
    if (config.seeders.empty()) {
        table.complain("seeders", "must name one at least");
    }
    return config;
}

Result<AgentConfig> parse_agent_config(std::string_view text, std::string_view what) {
    AgentConfig config;
    return config::read_document(text, what, {},
                                 [&](config::Table& table) { config = read_agent_config(table); })
        .map([&] { return std::move(config); });
}

} // namespace slipway::agent
