#include "orchestrator/core/membership.h"

namespace slipway::orchestrator {
namespace {

bool is_held(const Durable& log, const Environment& environment, const std::string& host) {
    const auto found = log.deployments.find(environment.active);
    return found != log.deployments.end() && found->second.hosts.contains(host);
}

// Puts the host into its environment of `service`; returns whether that changed.
bool place(Durable& log, const std::string& name, Host& host, const std::string& service) {
    std::string owner;
    for (auto at = log.environments.lower_bound({service, ""});
         at != log.environments.end() && at->first.service == service; ++at) {
        if (is_held(log, at->second, name)) {
            owner = at->first.environment;
            break;
        }
        if (owner.empty() && has_labels(host.labels, at->second.spec.selector)) {
            owner = at->first.environment;
        }
    }
    const auto before = host.belongs.find(service);
    const auto was = before == host.belongs.end() ? std::string() : before->second;
    if (was == owner) {
        return false;
    }
    if (!was.empty()) {
        log.members[{service, was}].erase(name);
        host.belongs.erase(before);
    }
    if (!owner.empty()) {
        log.members[{service, owner}].insert(name);
        host.belongs[service] = owner;
    }
    return true;
}

} // namespace

void update_membership(Durable& log, const std::string& host) {
    auto& entry = log.hosts.at(host);
    std::string service;
    for (const auto& [key, environment] : log.environments) {
        if (key.service != service) { // Keys are ordered by service.
            service = key.service;
            place(log, host, entry, service);
        }
    }
}

std::vector<std::string> update_memberships(Durable& log, const std::string& service) {
    std::vector<std::string> changed;
    for (auto& [name, host] : log.hosts) {
        if (place(log, name, host, service)) {
            changed.push_back(name);
        }
    }
    return changed;
}

} // namespace slipway::orchestrator
