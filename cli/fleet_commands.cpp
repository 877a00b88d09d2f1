#include <functional>
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/deployment_view.h"
#include "cli/orchestrator_client.h"
#include "cli/output.h"
#include "common/core/errc.h"
#include "common/io/file_ops.h"

namespace slipway::cli {
namespace {

using nlohmann::json;

struct Options {
    OrchestratorFlags orchestrator;
    std::string service;
    std::string environment;
    std::string host;
    std::string labels;
    std::string state;
    std::string deployment;
    std::string reason;
    std::string scope;
    std::string strategy;
    std::string good;
    std::size_t limit = 100;
};
using Line = std::function<std::string(const json&)>;

/// "PATH?a=1&b=2" of the parameters that are given.
std::string with_query(std::string path,
                       const std::vector<std::pair<const char*, std::string>>& query) {
    bool is_first = true;
    for (const auto& [name, value] : query) {
        if (!value.empty()) {
            path += std::string(is_first ? "?" : "&") + name + "=" + path_part(value);
            is_first = false;
        }
    }
    return path;
}

Result<> show_list(const Options& options, const std::string& path, const Line& line,
                   const Context& context) {
    auto client = OrchestratorClient::open(options.orchestrator, context.stop);
    if (!client) {
        return tl::unexpected(client.error());
    }
    const auto items = client->list(path, options.limit);
    if (!items) {
        return tl::unexpected(items.error());
    }
    for (const auto& item : *items) {
        context.json ? print_json(item) : print_line(line(item));
    }
    return {};
}

Result<> change(const Options& options, const std::string& method, const std::string& path,
                const json& body, const std::string& done, const Context& context) {
    auto client = OrchestratorClient::open(options.orchestrator, context.stop);
    if (!client) {
        return tl::unexpected(client.error());
    }
    const auto answer = client->change(method, path, body);
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    context.json ? print_json(*answer) : print_line(done);
    return {};
}

Result<> put_environment(const Options& options, const Context& context) {
    json body = {{"labels", options.labels}};
    if (!options.good.empty()) {
        body["good"] = options.good;
    }
    if (!options.strategy.empty()) {
        const auto text = read_file(options.strategy, 64ULL * 1024);
        if (!text) {
            return tl::unexpected(within("--strategy", text.error()));
        }
        body["strategy_text"] = std::string(as_text(*text));
    }
    return change(options, "PUT",
                  "/v1/services/" + path_part(options.service) + "/environments/" +
                      path_part(options.environment),
                  body, "environment " + options.service + "/" + options.environment + " is set",
                  context);
}

struct Added {
    CLI::App* app;
    std::shared_ptr<Options> options;
};
Added add(CLI::App& parent, Context& context, const char* name, const char* about) {
    auto* app = parent.add_subcommand(name, about);
    auto options = std::make_shared<Options>();
    add_flags(*app, options->orchestrator);
    add_json_flag(*app, context);
    return {app, std::move(options)};
}

void add_limit(const Added& added) {
    added.app->add_option("--limit", added.options->limit, "Entries to show, newest first")
        ->capture_default_str();
}

Command history_command(CLI::App& parent, Context& context) {
    const auto added = add(parent, context, "history", "Show deployments: who, what, why, when");
    auto options = added.options;
    added.app->add_option("service", options->service, "Of this service only");
    added.app->add_option("--env", options->environment, "Of this environment only");
    added.app->add_option("--host", options->host, "Of this host only");
    add_limit(added);
    return {added.app, [options](const Context& given) {
                const auto path = with_query("/v1/history", {{"service", options->service},
                                                             {"environment", options->environment},
                                                             {"host", options->host}});
                return show_list(*options, path, history_line, given);
            }};
}

Command audit_command(CLI::App& parent, Context& context) {
    const auto added =
        add(parent, context, "audit", "Show the log: every transition, with its evidence");
    auto options = added.options;
    added.app->add_option("deployment", options->deployment, "Of this deployment only");
    added.app->add_option("--limit", options->limit, "Entries to show, oldest first")
        ->capture_default_str();
    return {added.app, [options](const Context& given) {
                const auto path = with_query("/v1/audit", {{"deployment", options->deployment}});
                return show_list(*options, path, audit_line, given);
            }};
}

Command hosts_command(CLI::App& parent, Context& context) {
    const auto added = add(parent, context, "hosts", "Show hosts, and what they run");
    auto options = added.options;
    added.app->add_option("--labels", options->labels, "With these labels: region=eu,tier=web");
    added.app->add_option("--state", options->state, "online or lost");
    options->limit = 100'000;
    return {added.app, [options](const Context& given) {
                const auto path = with_query(
                    "/v1/hosts", {{"labels", options->labels}, {"state", options->state}});
                return show_list(*options, path, host_line, given);
            }};
}

Command environment_command(CLI::App& parent, Context& context) {
    const auto added = add(parent, context, "environment",
                           "Set up an environment of a service: which hosts, which strategy");
    auto options = added.options;
    added.app->add_option("service", options->service, "Service")->required();
    added.app->add_option("name", options->environment, "Environment")->required();
    added.app->add_option("--labels", options->labels,
                          "Hosts with all these labels: region=eu,tier=web; none: all hosts");
    added.app->add_option("--strategy", options->strategy,
                          "File with the strategy of deployments that name none");
    added.app->add_option("--good", options->good,
                          "NAME@VERSION that the fleet runs already: what to go back to");
    return {added.app,
            [options](const Context& given) { return put_environment(*options, given); }};
}

Command freeze_command(CLI::App& parent, Context& context, bool on) {
    const auto added = on ? add(parent, context, "freeze", "Stop forward moves; ways back go on")
                          : add(parent, context, "unfreeze", "Let deployments move forward again");
    auto options = added.options;
    added.app
        ->add_option("scope", options->scope,
                     "all, environment:ENV, service:SERVICE or service:SERVICE/ENV")
        ->required();
    if (on) {
        added.app->add_option("--reason", options->reason, "Why; kept in the history");
    }
    return {added.app, [options, on](const Context& given) {
                auto body = json::object();
                if (!options->reason.empty()) {
                    body["why"] = options->reason;
                }
                return change(*options, on ? "PUT" : "DELETE",
                              "/v1/freezes/" + path_part(options->scope), body,
                              options->scope + (on ? " is frozen" : " is no longer frozen"), given);
            }};
}

} // namespace

std::vector<Command> fleet_commands(CLI::App& parent, Context& context) {
    return {history_command(parent, context),      audit_command(parent, context),
            hosts_command(parent, context),        environment_command(parent, context),
            freeze_command(parent, context, true), freeze_command(parent, context, false)};
}

} // namespace slipway::cli
