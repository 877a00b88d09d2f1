#include <csignal>
#include <cstdio>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "common/core/errc.h"

namespace slipway::cli {
namespace {

constexpr auto footer =
    R"(Exit status: 0 done, 1 failed, 2 wrong usage, 3 verification failed, 4 not found.

Examples:
  slipway repo init --repo /srv/slipway
  slipway publish --repo /srv/slipway web@1.0.0 build/out --unit web.service
  slipway diff --repo /srv/slipway web@1.0.0 web@1.1.0
  slipway verify --repo /srv/slipway
  slipway deploy web web@1.1.0 --env prod --wait
  slipway status web -w
  slipway ca issue --ca fleet-ca seeder/eu --dns seeder.eu.example --out seeder-eu
)";

int to_int(ExitStatus status) {
    return static_cast<int>(status);
}

/// Turns SIGINT and SIGTERM into a stop request. The signals are blocked in all threads that start
/// later and taken by one thread that waits for them.
class SignalStop {
public:
    SignalStop() {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGINT);
        sigaddset(&signals_, SIGTERM);
        sigaddset(&signals_, SIGUSR1); // Ends the waiting thread.
        pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
        waiter_ = std::thread([this] {
            int signal = 0;
            if (sigwait(&signals_, &signal) == 0 && signal != SIGUSR1) {
                stop_.request_stop();
            }
        });
    }
    ~SignalStop() {
        pthread_kill(waiter_.native_handle(), SIGUSR1);
        waiter_.join();
    }
    SignalStop(const SignalStop&) = delete;
    SignalStop& operator=(const SignalStop&) = delete;
    [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }

private:
    sigset_t signals_{};
    std::stop_source stop_;
    std::thread waiter_;
};

int run(int argc, char** argv) {
    CLI::App app("Slipway: publish artifacts, deploy them over a fleet, and see what runs where",
                 "slipway");
    app.footer(footer);
    app.set_version_flag("--version", "slipway " SLIPWAY_VERSION);
    app.require_subcommand(1);
    Context context;
    auto* repo = app.add_subcommand("repo", "Set up a repository, its keys and who may sign what");
    repo->require_subcommand(1);
    std::vector<Command> commands{
        repo_init_command(*repo, context), publish_command(app, context),
        list_command(app, context),        inspect_command(app, context),
        diff_command(app, context),        verify_command(app, context),
        deploy_command(app, context),      status_command(app, context),
    };
    for (const auto& more : {repo_key_commands(*repo, context), repo_sign_commands(*repo, context),
                             ca_commands(app, context), deployment_commands(app, context),
                             fleet_commands(app, context)}) {
        commands.insert(commands.end(), more.begin(), more.end());
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? to_int(ExitStatus::done) : to_int(ExitStatus::usage);
    }
    const SignalStop signals;
    context.stop = signals.token();
    for (const auto& command : commands) {
        if (!command.app->parsed()) {
            continue;
        }
        const auto done = command.run(context);
        if (!done) {
            print_error(done.error(), context.json);
            return to_int(exit_status(done.error()));
        }
    }
    return *context.status;
}

} // namespace

void add_json_flag(CLI::App& app, Context& context) {
    app.add_flag("--json", context.json, "Print JSON for programs");
}

} // namespace slipway::cli

int main(int argc, char** argv) {
    return slipway::cli::run(argc, argv);
}
