#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/identity.h"
#include "common/core/result.h"

namespace slipway::orchestrator {

/// All that can be asked of the API.
enum class Operation {
    api,
    health,
    ready,
    metrics,
    sync_agent,
    list_hosts,
    show_host,
    forget_host,
    list_services,
    put_environment,
    list_deployments,
    create_deployment,
    plan_deployment,
    show_deployment,
    deployment_hosts,
    deployment_evidence,
    pause,
    resume,
    promote,
    abort,
    approve,
    rollback,
    list_freezes,
    freeze,
    unfreeze,
    history,
    audit,
    watch,
};

/// Who may ask for it. Every operator is a viewer; an orchestrator reads as a viewer does.
enum class Access { fleet, agent, viewer, deployer, approver, admin };
[[nodiscard]] std::string_view to_string(Access access);

/// A line of the one table of paths. A pattern's parts in braces are parameters.
struct Route {
    std::string_view method;
    std::string_view pattern;
    Operation operation;
    Access access;
};
[[nodiscard]] std::span<const Route> routes();

/// The route of a request and the values of its parameters, in order.
struct Matched {
    Operation operation = Operation::api;
    Access access = Access::admin;
    std::vector<std::string> parameters;
};

/// Errors: Errc::not_found (no such path), std::errc::operation_not_supported (the path is there,
/// not the method; the context lists those that are).
[[nodiscard]] Result<Matched> match_route(std::string_view method, std::string_view path);

/// Whether `who` may. Error: Errc::forbidden: who, what is needed, how to get it.
[[nodiscard]] Result<> check_access(const Identity& who, Access access);

/// The parameters of a query string, percent-decoded. Errors: Errc::usage: one that is not in
/// `known`, given twice, or malformed.
using Query = std::map<std::string, std::string, std::less<>>;
[[nodiscard]] Result<Query> parse_query(std::string_view query,
                                        std::span<const std::string_view> known);

/// The names of the parameters that a request for it may have.
[[nodiscard]] std::span<const std::string_view> parameters_of(Operation operation);

/// Which part of a list is asked for: `limit` (1 to 1000; default 100) entries behind `after`.
struct Page {
    std::string after;
    std::size_t limit = 100;
};
inline constexpr std::size_t page_limit_max = 1'000;
[[nodiscard]] Result<Page> page_of(const Query& query);

/// "region=eu,tier=web": all of them must hold. Error: Errc::usage. At most 16 labels.
using Labels = std::map<std::string, std::string>;
[[nodiscard]] Result<Labels> parse_labels(std::string_view text);
[[nodiscard]] bool has_labels(const Labels& all, const Labels& wanted);

} // namespace slipway::orchestrator
