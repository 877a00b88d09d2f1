#include <memory>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/orchestrator_client.h"
#include "cli/output.h"
#include "common/core/errc.h"

namespace slipway::cli {
namespace {

using nlohmann::json;

struct Options {
    OrchestratorFlags orchestrator;
    std::string verb;
    std::string id; ///< Of rollback: the service.
    std::string environment;
    std::string reason;
    std::string gate;
    bool full = false;
    bool reject = false;
    bool emergency = false;
    bool wait = false;
};

json body_of(const Options& options) {
    auto body = json::object();
    if (!options.reason.empty()) {
        body["why"] = options.reason;
    }
    if (!options.gate.empty()) {
        body["gate"] = options.gate;
    }
    for (const auto& [name, value] : {std::pair{"full", options.full},
                                      {"reject", options.reject},
                                      {"emergency", options.emergency}}) {
        if (value) {
            body[name] = true;
        }
    }
    return body;
}

/// The environment that is meant when none is named: the only one of the service.
Result<std::string> environment_of(OrchestratorClient& client, const Options& options) {
    if (!options.environment.empty()) {
        return options.environment;
    }
    const auto all = client.list("/v1/services", 10'000);
    if (!all) {
        return tl::unexpected(all.error());
    }
    std::vector<std::string> found;
    for (const auto& entry : *all) {
        if (entry.value("service", std::string()) == options.id) {
            found.push_back(entry.value("environment", std::string()));
        }
    }
    if (found.size() == 1) {
        return found.front();
    }
    if (found.empty()) {
        return fail(Errc::not_found, "no environment of a service '" + options.id + "'");
    }
    return fail(Errc::usage, "the service '" + options.id + "' has " +
                                 std::to_string(found.size()) + " environments: name one, --env " +
                                 found.front());
}

Result<> run(const Options& options, const Context& context) {
    auto client = OrchestratorClient::open(options.orchestrator, context.stop);
    if (!client) {
        return tl::unexpected(client.error());
    }
    auto path = "/v1/deployments/" + path_part(options.id) + "/" + options.verb;
    if (options.verb == "rollback") {
        const auto environment = environment_of(*client, options);
        if (!environment) {
            return tl::unexpected(environment.error());
        }
        path = "/v1/services/" + path_part(options.id) + "/environments/" +
               path_part(*environment) + "/rollback";
    }
    const auto done = client->change("POST", path, body_of(options));
    if (!done) {
        return tl::unexpected(done.error());
    }
    const auto id = done->value("id", options.id);
    if (options.wait) {
        return follow(*client, id, context, true); // Of abort and rollback.
    }
    if (context.json) {
        print_json(*done);
    } else {
        print_line(options.verb + ": deployment " + id + " " + done->value("phase", std::string()));
    }
    return {};
}

/// What all of them have.
std::pair<CLI::App*, std::shared_ptr<Options>>
add_verb(CLI::App& parent, Context& context, const std::string& verb, const std::string& about) {
    auto* app = parent.add_subcommand(verb, about);
    auto options = std::make_shared<Options>();
    options->verb = verb;
    if (verb == "rollback") {
        app->add_option("service", options->id, "Service")->required();
        app->add_option("--env", options->environment,
                        "Environment; not needed if the service has one only");
    } else {
        app->add_option("id", options->id, "Deployment")->required();
    }
    app->add_option("--reason", options->reason, "Why; kept in the history");
    add_flags(*app, options->orchestrator);
    add_json_flag(*app, context);
    return {app, options};
}

Command as_command(CLI::App* app, std::shared_ptr<Options> options) {
    return {app,
            [options = std::move(options)](const Context& given) { return run(*options, given); }};
}

} // namespace

std::vector<Command> deployment_commands(CLI::App& parent, Context& context) {
    std::vector<Command> commands;
    for (const auto& [verb, about] :
         {std::pair{"pause", "Stop a deployment where it is; a way back is never stopped"},
          {"resume", "Let a paused deployment go on"}}) {
        auto [app, options] = add_verb(parent, context, verb, about);
        commands.push_back(as_command(app, options));
    }
    {
        auto [app, options] = add_verb(parent, context, "promote",
                                       "Go past what a batch waits for, but never past a failure");
        app->add_flag("--full", options->full, "The rest of the deployment too");
        commands.push_back(as_command(app, options));
    }
    {
        auto [app, options] =
            add_verb(parent, context, "abort", "Take all touched hosts back to what ran before");
        app->add_flag("--wait", options->wait, "Wait until it is over");
        commands.push_back(as_command(app, options));
    }
    {
        auto [app, options] =
            add_verb(parent, context, "approve", "Say yes at a gate that waits for a person");
        app->add_option("--gate", options->gate,
                        "Which; not needed if one only waits for approval");
        app->add_flag("--reject", options->reject, "Say no: the deployment goes back");
        commands.push_back(as_command(app, options));
    }
    {
        auto [app, options] = add_verb(
            parent, context, "rollback",
            "Take a service back: from the deployment that goes on, or to the release before");
        app->add_flag("--emergency", options->emergency,
                      "All hosts at once, whatever is unavailable meanwhile");
        app->add_flag("--wait", options->wait, "Wait until it is over");
        commands.push_back(as_command(app, options));
    }
    return commands;
}

} // namespace slipway::cli
