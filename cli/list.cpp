#include <memory>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/remote.h"
#include "common/tls/flags.h"

namespace slipway::cli {
namespace {

struct Options {
    std::string repo;
    std::string trust;
    tls::TlsFiles tls;
};

Result<> run(const Options& options, const Context& context) {
    const auto remote = Remote::open(options.repo, options.trust, options.tls);
    if (!remote) {
        return tl::unexpected(remote.error());
    }
    return list_artifacts((*remote)->trusted()).map([&](const auto& listings) {
        auto artifacts = nlohmann::json::array();
        for (const ArtifactListing& listing : listings) {
            artifacts.push_back({{"artifact", listing.id.text()},
                                 {"name", listing.id.name},
                                 {"version", listing.id.version},
                                 {"kind", to_string(listing.custom.kind)},
                                 {"sequence", listing.custom.sequence},
                                 {"published", listing.custom.published},
                                 {"digest", listing.digest.hex()}});
            if (!context.json) {
                print_line(listing.id.text() + "  " + std::string(to_string(listing.custom.kind)) +
                           "  " + listing.custom.published + "  " +
                           listing.digest.hex().substr(0, 16));
            }
        }
        if (context.json) {
            print_json({{"artifacts", std::move(artifacts)}});
        } else if (listings.empty()) {
            print_line("Nothing is published here yet.");
        }
    });
}

} // namespace

Command list_command(CLI::App& parent, Context& context) {
    auto* app = parent.add_subcommand("list", "List the artifacts of a repository");
    auto options = std::make_shared<Options>();
    app->add_option("--repo", options->repo, "Directory or URL of the repository")->required();
    app->add_option("--trust", options->trust, "Root metadata that you trust");
    tls::add_flags(*app, options->tls);
    add_json_flag(*app, context);
    return {app, [options](const Context& given) { return run(*options, given); }};
}

} // namespace slipway::cli
