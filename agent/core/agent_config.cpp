#include "agent/core/agent_config.h"

#include <algorithm>

#include "common/api/sync.h"
#include "common/core/errc.h"
#include "common/core/names.h"

namespace slipway::agent {
namespace {

// The orchestrator takes no longer ones in selectors.
constexpr std::size_t label_bytes_max = 128;

// [services.NAME.run] has the keys and rules of a run specification in a manifest.
ServiceConfig service_from(config::Table& table) {
    ServiceConfig service;
    table.take("probe_authority", service.probe_authority);
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

// Sizes and rates: "20M" as in run specifications, or a number.
void take_size(config::Table& table, const char* key, std::uint64_t& into) {
    std::string text;
    if (!table.has(key)) {
        return;
    }
    table.take(key, text);
    if (const auto size = parse_size(text)) {
        into = *size;
    } else if (!text.empty()) {
        table.complain(key, "must be a size like \"20M\"");
    }
}

Rates rates_from(config::Table& table) {
    Rates rates;
    take_size(table, "upload_bytes_per_s", rates.upload_bytes_per_s);
    take_size(table, "download_bytes_per_s", rates.download_bytes_per_s);
    return rates;
}

unsigned clock_from(config::Table& table, const char* key) {
    std::string text;
    table.take(key, text);
    const auto minute = parse_clock(text);
    if (!minute) {
        table.complain(key, minute.error().context);
    }
    return minute.value_or(0);
}

// [limits.windows.NAME]
RateWindow window_from(config::Table& table, const std::string& name) {
    RateWindow window{.name = name, .rates = rates_from(table)};
    std::vector<std::string> days{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    table.take("days", days);
    for (const auto& day : days) {
        const auto bit = parse_day(day);
        if (!bit) {
            table.complain("days", bit.error().context);
        }
        window.days |= bit.value_or(0);
    }
    window.from_minute = clock_from(table, "from");
    window.to_minute = clock_from(table, "to");
    return window;
}

TransferLimits limits_from(config::Table& table) {
    TransferLimits limits{.always = rates_from(table), .windows = {}};
    if (auto windows = table.table("windows")) {
        for (const auto& name : windows->names()) {
            if (auto window = windows->table(name.c_str())) {
                limits.windows.push_back(window_from(*window, name));
            }
        }
    }
    return limits;
}

void take_orchestrators(config::Table& table, AgentConfig& config) {
    constexpr std::size_t urls_max = 8;
    constexpr std::string_view scheme = "https://";
    table.take("orchestrator", config.orchestrators);
    const bool all_https = std::ranges::all_of(config.orchestrators, [&](const std::string& url) {
        return url.starts_with(scheme) && url.size() > scheme.size();
    });
    if (!all_https || config.orchestrators.size() > urls_max) {
        table.complain("orchestrator",
                       "must be a list of 8 URLs like \"https://HOST:PORT\" at most");
    } else if (!config.orchestrators.empty() && config.tls.certificate.empty()) {
        table.complain("orchestrator", "needs the host's certificate: [tls]");
    }
}

// [labels]: the keys are the host's to choose.
std::map<std::string, std::string> labels_from(config::Table& table) {
    std::map<std::string, std::string> labels;
    auto given = table.table("labels");
    if (!given) {
        return labels;
    }
    for (const auto& name : given->names()) {
        std::string value;
        given->take(name.c_str(), value);
        if (name.size() > label_bytes_max || value.size() > label_bytes_max) {
            given->complain(name, "must have 128 bytes at most, as must its value");
        }
        labels.emplace(name, value);
    }
    if (labels.size() > api::sync_labels_max) {
        table.complain("labels", "must be 64 at most");
    }
    return labels;
}

} // namespace

ConfigChange compare(const AgentConfig& before, const AgentConfig& after) {
    ConfigChange change{.limits = before.limits != after.limits ||
                                  before.packs_bytes_max != after.packs_bytes_max ||
                                  before.releases_kept != after.releases_kept,
                        .services = {},
                        .restart = {}};
    const auto run_of = [](const AgentConfig& config, const std::string& name) {
        const auto found = config.services.find(name);
        return found == config.services.end() ? ServiceConfig{} : found->second;
    };
    for (const auto* const side : {&before, &after}) {
        for (const auto& [name, service] : side->services) {
            if (run_of(before, name) != run_of(after, name) &&
                std::ranges::count(change.services, name) == 0) {
                change.services.push_back(name);
            }
        }
    }
    const auto look = [&](const char* key, bool differs) {
        if (differs) {
            change.restart.emplace_back(key);
        }
    };
    look("root", before.root != after.root);
    look("trust", before.trust != after.trust);
    look("seeders", before.seeders != after.seeders);
    look("listen", before.listen != after.listen);
    look("installer", before.installer != after.installer);
    look("patience_s", before.patience != after.patience);
    look("tls", before.tls != after.tls);
    look("metrics", before.metrics != after.metrics);
    look("orchestrator", before.orchestrators != after.orchestrators);
    look("labels", before.labels != after.labels);
    return change;
}

AgentConfig read_agent_config(config::Table& table) {
    AgentConfig config;
    table.take("root", config.root);
    table.take("trust", config.trust);
    table.take("seeders", config.seeders);
    table.take("listen", config.listen);
    table.take("metrics", config.metrics);
    table.take("installer", config.installer);
    table.take_count("patience_s", config.patience, 1, 3'600);
    if (auto limits = table.table("limits")) {
        take_size(*limits, "packs_bytes", config.packs_bytes_max);
        limits->take_count("releases", config.releases_kept, 0, 1'000);
        config.limits = limits_from(*limits);
    }
    config.tls = config::take_tls(table);
    take_orchestrators(table, config);
    config.labels = labels_from(table);
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
