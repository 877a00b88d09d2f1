#include <chrono>
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/deployment_view.h"
#include "cli/follow.h"
#include "cli/orchestrator_client.h"
#include "cli/output.h"
#include "common/core/errc.h"
#include "common/core/names.h"
#include "common/io/file_ops.h"

namespace slipway::cli {
namespace {

using nlohmann::json;

constexpr std::uint64_t strategy_bytes_max = 64ULL * 1024;
constexpr int there_are_changes = 2;

struct Options {
    OrchestratorFlags orchestrator;
    std::string service;
    std::string artifact;
    std::string environment;
    std::string strategy;
    std::string check_plan;
    std::string reason;
    bool retry = false;
    bool plan = false;
    bool wait = false;
};

bool is_file(const std::string& strategy) {
    return strategy.find('/') != std::string::npos || strategy.find('.') != std::string::npos;
}

Result<json> request_of(const Options& options) {
    json body = {{"service", options.service},
                 {"environment", options.environment},
                 {"artifact", options.artifact}};
    if (options.retry) {
        body["retry"] = true;
    }
    if (!options.strategy.empty() && !is_file(options.strategy)) {
        body["strategy"] = options.strategy;
    } else if (!options.strategy.empty()) {
        const auto text = read_file(options.strategy, strategy_bytes_max);
        if (!text) {
            return tl::unexpected(within("--strategy", text.error()));
        }
        body["strategy_text"] = std::string(as_text(*text));
    }
    return body;
}

Result<> show_plan(OrchestratorClient& client, const json& request, const Context& context) {
    const auto plan = client.change("POST", "/v1/plans", request);
    if (!plan) {
        return tl::unexpected(plan.error());
    }
    if (context.json) {
        print_json(*plan);
    } else {
        for (const auto& line : plan_lines(*plan)) {
            print_line(line);
        }
    }
    *context.status = plan->value("changes", false) ? there_are_changes : 0;
    return {};
}

Result<> run(const Options& options, const Context& context) {
    if (auto artifact = ArtifactId::parse(options.artifact); !artifact) {
        return tl::unexpected(artifact.error());
    }
    auto request = request_of(options);
    if (!request) {
        return tl::unexpected(request.error());
    }
    auto client = OrchestratorClient::open(options.orchestrator, context.stop);
    if (!client) {
        return tl::unexpected(client.error());
    }
    if (options.plan) {
        return show_plan(*client, *request, context);
    }
    if (!options.check_plan.empty()) {
        (*request)["check_plan"] = options.check_plan;
    }
    if (!options.reason.empty()) {
        (*request)["why"] = options.reason;
    }
    const auto made = client->change("POST", "/v1/deployments", *request);
    if (!made) {
        return tl::unexpected(made.error());
    }
    const auto id = made->value("id", std::string());
    if (id.empty()) {
        print_line("nothing to do: " + made->value("why", std::string()));
        return {};
    }
    if (!options.wait) {
        if (context.json) {
            print_json(*made);
        } else {
            print_line("deployment " + id + "; `slipway status " + id + " -w` watches it");
        }
        return {};
    }
    return follow(*client, id, context);
}

} // namespace

Command deploy_command(CLI::App& parent, Context& context) {
    auto* app = parent.add_subcommand(
        "deploy", "Move a service of an environment to a release, host by host, on evidence");
    auto options = std::make_shared<Options>();
    app->add_option("service", options->service, "Service, as agents name it")->required();
    app->add_option("artifact", options->artifact, "NAME@VERSION in the repository")->required();
    app->add_option("--env", options->environment, "Environment of the service")->required();
    app->add_option("--strategy", options->strategy,
                    "rolling, canary, blue-green, or a file (TOML or JSON); default: the "
                    "environment's, else canary");
    app->add_flag("--plan", options->plan,
                  "Change nothing: show hosts in order, batches, gates and bytes; exit status 0: "
                  "nothing to do, 2: changes");
    app->add_option("--check-plan", options->check_plan,
                    "Id that --plan printed: refuse if another plan would be made now");
    app->add_flag("--retry", options->retry, "Deploy a release again although it is in quarantine");
    app->add_option("--reason", options->reason, "Why; kept in the history");
    app->add_flag("--wait", options->wait,
                  "Wait until it is over; exit status 1 if it was not what runs at the end");
    add_flags(*app, options->orchestrator);
    add_json_flag(*app, context);
    return {app, [options](const Context& given) { return run(*options, given); }};
}

} // namespace slipway::cli
