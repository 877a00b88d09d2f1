#include <iostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "common/config/flags.h"
#include "common/core/errc.h"
#include "common/tls/flags.h"
#include "orchestrator/io/orchestrator.h"

namespace slipway::orchestrator {
namespace {

struct Options {
    config::Source config{
        .file = {}, .set = {}, .variables = "SLIPWAY_ORCHESTRATOR_", .check = false};
    std::string database;
    std::string listen;
    std::string repository;
    std::string trust;
    std::string state;
    tls::TlsFiles tls;
    bool json = false;
};

void take(std::string& into, const std::string& given) {
    if (!given.empty()) {
        into = given;
    }
}

/// The file's settings, with those of flags in their place.
Result<OrchestratorConfig> config_of(const Options& options) {
    OrchestratorConfig config;
    auto read = config::read_source(
        options.config, [&](config::Table& table) { config = read_orchestrator_config(table); });
    if (!read) {
        return tl::unexpected(read.error());
    }
    take(config.database, options.database);
    take(config.listen, options.listen);
    take(config.repository, options.repository);
    take(config.trust, options.trust);
    take(config.state, options.state);
    take(config.tls.certificate, options.tls.certificate);
    take(config.tls.key, options.tls.key);
    take(config.tls.authority, options.tls.authority);
    take(config.tls.revoked, options.tls.revoked);
    config.json = config.json || options.json;
    return config;
}

// Scripts read this line to learn the port; it is the first one on standard output.
void announce(const ListeningAddresses& addresses, bool json) {
    if (json) {
        nlohmann::json line = {{"event", "listening"}, {"https", addresses.api}};
        if (!addresses.enroll.empty()) {
            line["enroll"] = addresses.enroll;
        }
        std::cout << line.dump() << std::endl;
    } else {
        std::cout << "listening https=" << addresses.api
                  << (addresses.enroll.empty() ? "" : " enroll=" + addresses.enroll) << std::endl;
    }
}

int report_failure(const Options& options, const Error& error) {
    const auto status = static_cast<int>(exit_status(error));
    if (options.json) {
        const nlohmann::json line = {{"error", {{"code", status}, {"message", describe(error)}}}};
        std::cout << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                  << std::endl;
    }
    std::cerr << "slipway-orchestrator: " << describe(error) << "\n";
    return status;
}

void add_run_flags(CLI::App& app, Options& options) {
    config::add_flags(app, options.config);
    app.add_option("--database", options.database,
                   "sqlite:FILE or postgresql://...; default: "
                   "sqlite:/var/lib/slipway-orchestrator/db");
    app.add_option("--listen", options.listen,
                   "Address and port of the API; port 0 takes a free one; default: 127.0.0.1:7443");
    app.add_option("--repo", options.repository,
                   "Directory or URL of the repository that artifacts are looked up in");
    app.add_option("--trust", options.trust,
                   "Root metadata to trust; needed for a URL, the first time");
    app.add_option("--state", options.state,
                   "Directory for trusted metadata; default: /var/lib/slipway-orchestrator");
    tls::add_flags(app, options.tls);
    app.add_flag("--json", options.json, "Print events as JSON lines");
}

int run(int argc, char** argv) {
    Options options;
    CLI::App app{"Drives deployments over a fleet: progressive, gated, undone by itself.",
                 "slipway-orchestrator"};
    app.set_version_flag("--version", "slipway-orchestrator " SLIPWAY_VERSION);
    app.require_subcommand(1);
    add_run_flags(*app.add_subcommand("run", "Drive the fleet until told to stop"), options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? static_cast<int>(ExitStatus::done)
                                    : static_cast<int>(ExitStatus::usage);
    }
    const auto config = config_of(options);
    if (!config) {
        return report_failure(options, config.error());
    }
    if (options.config.check) {
        std::cout << options.config.file.string() << ": right\n";
        return static_cast<int>(ExitStatus::done);
    }
    const auto ran = run_orchestrator(
        *config, [&](const ListeningAddresses& addresses) { announce(addresses, config->json); });
    if (!ran) {
        return report_failure(options, ran.error());
    }
    return static_cast<int>(ExitStatus::done);
}

} // namespace
} // namespace slipway::orchestrator

int main(int argc, char** argv) {
    return slipway::orchestrator::run(argc, argv);
}
