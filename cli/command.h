#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/core/result.h"

namespace slipway::cli {

/// What every command gets from main().
struct Context {
    bool json = false;
    std::stop_token stop; ///< Requested by SIGINT and SIGTERM.
    /// What the program ends with when the command was done and has more to say than that:
    /// `deploy --plan` ends with 2 when there is something to do.
    std::shared_ptr<int> status = std::make_shared<int>(0);
};

/// Runs after the arguments were parsed; prints its own output.
using Run = std::function<Result<>(const Context&)>;

/// A command adds its flags to `parent` and gives what to run when it was chosen.
struct Command {
    CLI::App* app = nullptr;
    Run run;
};

[[nodiscard]] Command repo_init_command(CLI::App& parent, Context& context);
[[nodiscard]] std::vector<Command> repo_key_commands(CLI::App& repo, Context& context);
[[nodiscard]] std::vector<Command> repo_sign_commands(CLI::App& repo, Context& context);
[[nodiscard]] Command publish_command(CLI::App& parent, Context& context);
[[nodiscard]] Command list_command(CLI::App& parent, Context& context);
[[nodiscard]] Command inspect_command(CLI::App& parent, Context& context);
[[nodiscard]] Command diff_command(CLI::App& parent, Context& context);
[[nodiscard]] Command verify_command(CLI::App& parent, Context& context);
/// `slipway ca init|issue|revoke|crl|list`.
[[nodiscard]] std::vector<Command> ca_commands(CLI::App& parent, Context& context);
[[nodiscard]] std::vector<Command> ca_enroll_commands(CLI::App& ca, Context& context);

[[nodiscard]] Command deploy_command(CLI::App& parent, Context& context);
[[nodiscard]] Command status_command(CLI::App& parent, Context& context);
/// `slipway pause|resume|promote|abort|approve|rollback`.
[[nodiscard]] std::vector<Command> deployment_commands(CLI::App& parent, Context& context);
/// `slipway history|audit|hosts|environment|freeze|unfreeze`.
[[nodiscard]] std::vector<Command> fleet_commands(CLI::App& parent, Context& context);

/// The flag that all commands have.
void add_json_flag(CLI::App& app, Context& context);

} // namespace slipway::cli
