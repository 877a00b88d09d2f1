#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "common/config/document.h"

namespace slipway::orchestrator {

/// Where a webhook goes: a gate that is asked, or a receiver of notifications.
struct HookConfig {
    std::string url;
    std::string secret_file;
    std::string ca_file;
    bool plain_http = false;
    std::set<std::string> kinds; ///< Of a receiver: which events; empty: all.
    bool operator==(const HookConfig&) const = default;
};

struct PrometheusConfig {
    std::string url;
    std::string token_file;
    std::string ca_file;
    bool plain_http = false;
    bool operator==(const PrometheusConfig&) const = default;
};

/// Where hosts get their certificates, if this machine has the authority.
struct EnrollConfig {
    std::string listen;    ///< Empty: nowhere.
    std::string authority; ///< Directory of `slipway ca init`.
    std::uint64_t days = 90;
    bool operator==(const EnrollConfig&) const = default;
};

/// /etc/slipway/orchestrator.toml. Flags of the same meaning count more.
struct OrchestratorConfig {
    std::string database = "sqlite:/var/lib/slipway-orchestrator/db";
    std::string listen = "127.0.0.1:7443";
    std::string repository; ///< A directory or a URL.
    std::string trust;      ///< root.json to trust; needed for a URL, the first time.
    std::string state = "/var/lib/slipway-orchestrator"; ///< Directory for trusted metadata.
    std::uint64_t idle_ms = 10'000; ///< How long requests of hosts without a deployment are held.
    bool json = false;
    config::TlsPaths tls;
    EnrollConfig enroll;
    std::map<std::string, PrometheusConfig> prometheus; ///< By the name that strategies use.
    std::map<std::string, HookConfig> gates;            ///< The same.
    std::map<std::string, HookConfig> receivers;
    bool operator==(const OrchestratorConfig&) const = default;
};

/// Takes the keys of the file; what is wrong is complained of in `table`.
[[nodiscard]] OrchestratorConfig read_orchestrator_config(config::Table& table);

} // namespace slipway::orchestrator
