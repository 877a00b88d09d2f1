#include "orchestrator/core/api_rules.h"

#include <algorithm>
#include <array>

#include "common/core/errc.h"
#include "common/core/numbers.h"

namespace slipway::orchestrator {
namespace {

constexpr std::size_t shown_bytes_max = 100;
constexpr std::size_t labels_max = 16;
constexpr std::size_t label_bytes_max = 128;

constexpr std::array all_routes{
    Route{"GET", "/healthz", Operation::health, Access::fleet},
    Route{"GET", "/readyz", Operation::ready, Access::fleet},
    Route{"GET", "/metrics", Operation::metrics, Access::viewer},
    Route{"GET", "/v1", Operation::api, Access::viewer},
    Route{"POST", "/v1/agents/sync", Operation::sync_agent, Access::agent},
    Route{"GET", "/v1/hosts", Operation::list_hosts, Access::viewer},
    Route{"GET", "/v1/hosts/{host}", Operation::show_host, Access::viewer},
    Route{"DELETE", "/v1/hosts/{host}", Operation::forget_host, Access::admin},
    Route{"GET", "/v1/services", Operation::list_services, Access::viewer},
    Route{"PUT", "/v1/services/{service}/environments/{environment}", Operation::put_environment,
          Access::admin},
    Route{"POST", "/v1/services/{service}/environments/{environment}/rollback", Operation::rollback,
          Access::deployer},
    Route{"GET", "/v1/deployments", Operation::list_deployments, Access::viewer},
    Route{"POST", "/v1/deployments", Operation::create_deployment, Access::deployer},
    Route{"POST", "/v1/plans", Operation::plan_deployment, Access::viewer},
    Route{"GET", "/v1/deployments/{id}", Operation::show_deployment, Access::viewer},
    Route{"GET", "/v1/deployments/{id}/hosts", Operation::deployment_hosts, Access::viewer},
    Route{"GET", "/v1/deployments/{id}/evidence", Operation::deployment_evidence, Access::viewer},
    Route{"POST", "/v1/deployments/{id}/pause", Operation::pause, Access::deployer},
    Route{"POST", "/v1/deployments/{id}/resume", Operation::resume, Access::deployer},
    Route{"POST", "/v1/deployments/{id}/promote", Operation::promote, Access::deployer},
    Route{"POST", "/v1/deployments/{id}/abort", Operation::abort, Access::deployer},
    Route{"POST", "/v1/deployments/{id}/approve", Operation::approve, Access::approver},
    Route{"GET", "/v1/freezes", Operation::list_freezes, Access::viewer},
    Route{"PUT", "/v1/freezes/{scope}", Operation::freeze, Access::deployer},
    Route{"DELETE", "/v1/freezes/{scope}", Operation::unfreeze, Access::deployer},
    Route{"GET", "/v1/history", Operation::history, Access::viewer},
    Route{"GET", "/v1/audit", Operation::audit, Access::viewer},
    Route{"GET", "/v1/events", Operation::watch, Access::viewer},
};

std::string quoted(std::string_view text) {
    return "'" + std::string(text.substr(0, shown_bytes_max)) +
           (text.size() > shown_bytes_max ? "...'" : "'");
}

std::string_view next_part(std::string_view& path) {
    const auto slash = path.find('/', 1);
    const auto part = path.substr(0, slash);
    path.remove_prefix(part.size());
    return part;
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::optional<std::string> decoded(std::string_view text, bool plus_is_space) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            out += ' ';
        } else if (text[i] != '%') {
            out += text[i];
        } else {
            const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
            const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
            if (low < 0) {
                return std::nullopt;
            }
            out += static_cast<char>(high * 16 + low);
            i += 2;
        }
    }
    return out;
}

std::optional<std::vector<std::string>> fit(std::string_view pattern, std::string_view path) {
    std::vector<std::string> parameters;
    while (!pattern.empty() && !path.empty()) {
        const auto wanted = next_part(pattern);
        const auto given = next_part(path);
        if (!wanted.starts_with("/{")) {
            if (wanted != given) {
                return std::nullopt;
            }
            continue;
        }
        auto value = decoded(given.substr(1), false);
        if (!value || value->empty()) {
            return std::nullopt;
        }
        parameters.push_back(std::move(*value));
    }
    return pattern.empty() && path.empty() ? std::optional(std::move(parameters)) : std::nullopt;
}

bool may(const Identity& who, Access access) {
    const bool person = who.role == Role::human_operator;
    const bool admin = person && who.level == OperatorLevel::admin;
    switch (access) {
    case Access::fleet:
        return true;
    case Access::agent:
        return who.role == Role::agent;
    case Access::viewer:
        return person || who.role == Role::orchestrator;
    case Access::deployer:
        return admin || (person && who.level == OperatorLevel::deployer);
    case Access::approver:
        return admin || (person && who.level == OperatorLevel::approver);
    case Access::admin:
        return admin;
    }
    return false;
}

} // namespace

std::string_view to_string(Access access) {
    switch (access) {
    case Access::fleet:
        return "fleet";
    case Access::agent:
        return "agent";
    case Access::viewer:
        return "viewer";
    case Access::deployer:
        return "deployer";
    case Access::approver:
        return "approver";
    case Access::admin:
        return "admin";
    }
    return "unknown";
}

std::span<const Route> routes() {
    return all_routes;
}

Result<Matched> match_route(std::string_view method, std::string_view path) {
    std::string methods;
    for (const auto& route : all_routes) {
        auto parameters = fit(route.pattern, path);
        if (!parameters) {
            continue;
        }
        if (route.method == method || (route.method == "GET" && method == "HEAD")) {
            return Matched{route.operation, route.access, std::move(*parameters)};
        }
        methods += (methods.empty() ? "" : ", ") + std::string(route.method);
    }
    if (methods.empty()) {
        return fail(Errc::not_found, "there is no " + quoted(path) + " here; GET /v1 lists all");
    }
    return fail(std::make_error_code(std::errc::operation_not_supported),
                quoted(path) + " answers " + methods + " only, not " + quoted(method));
}

Result<> check_access(const Identity& who, Access access) {
    if (may(who, access)) {
        return {};
    }
    const auto needed = access == Access::agent
                            ? std::string("agent/HOST")
                            : "operator/NAME?role=" + std::string(to_string(access));
    return fail(Errc::forbidden,
                who.text() + " may not; this asks for a certificate of " + needed +
                    (access == Access::agent || access == Access::admin ? "" : " or role=admin"));
}

Result<Query> parse_query(std::string_view query, std::span<const std::string_view> known) {
    Query out;
    while (!query.empty()) {
        const auto pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), pair.size() + 1));
        const auto equals = pair.find('=');
        const auto name = pair.substr(0, equals);
        if (std::ranges::find(known, name) == known.end()) {
            return fail(Errc::usage, "the parameter " + quoted(name) + " is not known here");
        }
        auto value = equals == std::string_view::npos ? std::string()
                                                      : decoded(pair.substr(equals + 1), true);
        if (!value) {
            return fail(Errc::usage, "the parameter " + quoted(name) + " is not percent-encoded");
        }
        if (!out.emplace(name, std::move(*value)).second) {
            return fail(Errc::usage, "the parameter " + quoted(name) + " is given twice");
        }
    }
    return out;
}

std::span<const std::string_view> parameters_of(Operation operation) {
    static constexpr std::string_view hosts[] = {"after", "limit", "labels", "service", "state"};
    static constexpr std::string_view deployments[] = {"after", "limit", "service", "environment",
                                                       "state"};
    static constexpr std::string_view page[] = {"after", "limit"};
    static constexpr std::string_view history[] = {"after", "limit", "service", "environment",
                                                   "host"};
    static constexpr std::string_view audit[] = {"after", "limit", "deployment"};
    static constexpr std::string_view watch[] = {"after", "deployment"};
    switch (operation) {
    case Operation::list_hosts:
        return hosts;
    case Operation::list_deployments:
        return deployments;
    case Operation::list_services:
    case Operation::deployment_hosts:
    case Operation::deployment_evidence:
        return page;
    case Operation::history:
        return history;
    case Operation::audit:
        return audit;
    case Operation::watch:
        return watch;
    default:
        return {};
    }
}

Result<Page> page_of(const Query& query) {
    Page page;
    if (const auto after = query.find("after"); after != query.end()) {
        page.after = after->second;
    }
    if (const auto limit = query.find("limit"); limit != query.end()) {
        const auto number = parse_number<std::uint64_t>(limit->second);
        if (!number || *number == 0 || *number > page_limit_max) {
            return fail(Errc::usage,
                        "limit is a number from 1 to " + std::to_string(page_limit_max));
        }
        page.limit = *number;
    }
    return page;
}

Result<Labels> parse_labels(std::string_view text) {
    Labels labels;
    while (!text.empty()) {
        const auto pair = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), pair.size() + 1));
        const auto equals = pair.find('=');
        if (equals == std::string_view::npos || equals == 0 || pair.size() > label_bytes_max ||
            labels.size() >= labels_max) {
            return fail(Errc::usage, "labels are NAME=VALUE, separated by commas, at most " +
                                         std::to_string(labels_max) +
                                         " of them: region=eu,tier=web");
        }
        labels[std::string(pair.substr(0, equals))] = std::string(pair.substr(equals + 1));
    }
    return labels;
}

bool has_labels(const Labels& all, const Labels& wanted) {
    return std::ranges::all_of(wanted, [&](const auto& label) {
        const auto found = all.find(label.first);
        return found != all.end() && found->second == label.second;
    });
}

} // namespace slipway::orchestrator
