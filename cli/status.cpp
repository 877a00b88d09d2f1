#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/deployment_view.h"
#include "cli/follow.h"
#include "cli/orchestrator_client.h"
#include "cli/output.h"
#include "common/core/errc.h"

namespace slipway::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds look_each{500};
constexpr std::size_t services_max = 10'000;

struct Options {
    OrchestratorFlags orchestrator;
    std::string what;
    bool watch = false;
};

std::int64_t unix_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

void wait(const std::stop_token& stop) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any woken;
    woken.wait_for(lock, stop, look_each, [] { return false; });
}

/// Draws lines over those that were drawn before.
class Screen {
public:
    void draw(const std::vector<std::string>& lines) {
        if (drawn_ > 0) {
            std::printf("\033[%zuA", drawn_);
        }
        for (const auto& line : lines) {
            std::printf("\033[2K%s\n", printable(line).c_str());
        }
        std::printf("\033[J");
        std::fflush(stdout);
        drawn_ = lines.size();
    }

private:
    std::size_t drawn_ = 0;
};

bool is_over(const json& deployment) {
    return deployment.value("ended_unix_ms", json()).is_number();
}

/// What a change of is told, where there is no terminal.
std::string summary(const json& deployment) {
    auto line = deployment.value("id", std::string()) + " " +
                deployment.value("phase", std::string()) +
                (deployment.value("paused", false) ? " (paused)" : "");
    const auto waiting = deployment.value("waits_for", json());
    if (waiting.is_object()) {
        line += ": " + waiting.value("what", std::string());
    }
    return line;
}

Result<> verdict(const json& deployment, bool wants_back) {
    const auto phase = deployment.value("phase", std::string());
    const bool goes_back = wants_back || deployment.value("rollback", false);
    if (phase == (goes_back ? "rolled_back" : "succeeded")) {
        return {};
    }
    const auto cause = deployment.value("cause", std::string());
    return fail(Errc::failed, "deployment " + deployment.value("id", std::string()) + " " + phase +
                                  (cause.empty() ? "" : ": " + cause));
}

/// The id of the deployment that `what` means: itself, or the newest of the service.
Result<std::string> deployment_of(OrchestratorClient& client, const std::string& what) {
    const auto itself = client.get("/v1/deployments/" + path_part(what));
    if (itself) {
        return what;
    }
    if (itself.error().code != Errc::not_found) {
        return tl::unexpected(itself.error());
    }
    const auto newest = client.list("/v1/history?service=" + path_part(what), 1);
    if (!newest) {
        return tl::unexpected(newest.error());
    }
    if (newest->empty()) {
        return fail(Errc::not_found,
                    "there is no deployment '" + what + "', and none of a service of that name");
    }
    return newest->front().value("id", std::string());
}

Result<> show_fleet(OrchestratorClient& client, const Context& context) {
    const auto services = client.list("/v1/services", services_max);
    if (!services) {
        return tl::unexpected(services.error());
    }
    if (context.json) {
        print_json({{"services", *services}});
        return {};
    }
    for (const auto& line : fleet_lines(*services)) {
        print_line(line);
    }
    return {};
}

Result<> run(const Options& options, const Context& context) {
    auto client = OrchestratorClient::open(options.orchestrator, context.stop);
    if (!client) {
        return tl::unexpected(client.error());
    }
    if (options.what.empty()) {
        return show_fleet(*client, context);
    }
    const auto id = deployment_of(*client, options.what);
    if (!id) {
        return tl::unexpected(id.error());
    }
    if (options.watch) {
        return follow(*client, *id, context);
    }
    const auto deployment = client->get("/v1/deployments/" + path_part(*id));
    if (!deployment) {
        return tl::unexpected(deployment.error());
    }
    if (context.json) {
        print_json(*deployment);
        return {};
    }
    for (const auto& line : deployment_lines(*deployment, unix_ms())) {
        print_line(line);
    }
    return {};
}

} // namespace

Result<> follow(OrchestratorClient& client, const std::string& id, const Context& context,
                bool wants_back) {
    const bool draws = !context.json && ::isatty(STDOUT_FILENO) == 1;
    Screen screen;
    std::string said;
    for (;;) {
        const auto deployment = client.get("/v1/deployments/" + path_part(id));
        if (!deployment) {
            return tl::unexpected(deployment.error());
        }
        const auto line = summary(*deployment);
        if (draws) {
            screen.draw(deployment_lines(*deployment, unix_ms()));
        } else if (line != said) {
            context.json ? print_json(*deployment) : print_line(line);
        }
        said = line;
        if (is_over(*deployment)) {
            return verdict(*deployment, wants_back);
        }
        wait(context.stop);
        if (context.stop.stop_requested()) {
            return fail(Errc::cancelled, "deployment " + id + " goes on without this command");
        }
    }
}

Command status_command(CLI::App& parent, Context& context) {
    auto* app =
        parent.add_subcommand("status", "Show what runs, and deployments with what they wait for");
    auto options = std::make_shared<Options>();
    app->add_option("what", options->what, "Deployment or service; none: the whole fleet");
    app->add_flag("-w,--watch", options->watch, "Go on until the deployment is over");
    add_flags(*app, options->orchestrator);
    add_json_flag(*app, context);
    return {app, [options](const Context& given) { return run(*options, given); }};
}

} // namespace slipway::cli
