#include "orchestrator/core/inventory.h"

#include "common/core/errc.h"

namespace slipway::orchestrator {

bool is_release(const Release& release, const std::string& artifact,
                const std::optional<Sha256Digest>& digest) {
    if (release.digest && digest) {
        return *release.digest == *digest;
    }
    return artifact == release.artifact.text();
}

bool same_bytes(const Release& one, const Release& other) {
    return is_release(one, other.artifact.text(), other.digest);
}

Result<std::string> parse_environment_name(std::string_view text) {
    auto name = parse_service_name(text);
    if (!name) {
        return fail(Errc::usage, "environment: " + name.error().context);
    }
    return name;
}

Result<> check_freeze_scope(std::string_view scope) {
    const auto fits = [](std::string_view text) { return parse_service_name(text).has_value(); };
    constexpr std::string_view environment = "environment:";
    constexpr std::string_view service = "service:";
    if (scope == "all" ||
        (scope.starts_with(environment) && fits(scope.substr(environment.size())))) {
        return {};
    }
    if (scope.starts_with(service)) {
        const auto rest = scope.substr(service.size());
        const auto slash = rest.find('/');
        if (fits(rest.substr(0, slash)) &&
            (slash == std::string_view::npos || fits(rest.substr(slash + 1)))) {
            return {};
        }
    }
    return fail(Errc::usage, "'" + printable(scope.substr(0, 150)) +
                                 "' is no scope of a freeze: all, environment:ENV, "
                                 "service:SERVICE or service:SERVICE/ENV");
}

bool covers(std::string_view scope, const EnvironmentKey& key) {
    return scope == "all" || scope == "environment:" + key.environment ||
           scope == "service:" + key.service || scope == "service:" + key.text();
}

std::string label_of(const Labels& labels, std::string_view name) {
    const auto found = labels.find(std::string(name));
    return found == labels.end() ? std::string() : found->second;
}

} // namespace slipway::orchestrator
