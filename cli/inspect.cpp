#include <memory>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/remote.h"
#include "common/tls/flags.h"
#include "common/trust/canonical_json.h"

namespace slipway::cli {
namespace {

struct Options {
    std::string repo;
    std::string trust;
    tls::TlsFiles tls;
    std::string id;
};

nlohmann::json as_json(const ArtifactMetadata& artifact) {
    const auto& manifest = artifact.manifest;
    auto packs = nlohmann::json::array();
    for (const auto& pack : artifact.packs.packs) {
        packs.push_back({{"id", pack.id.name()},
                         {"bytes", pack.id.bytes},
                         {"role", pack.role == PackRole::base ? "base" : "patch"},
                         {"from", pack.from_version},
                         {"to", pack.to_version}});
    }
    nlohmann::json out = {
        {"artifact", manifest.id.text()},
        {"digest", artifact.digest.hex()},
        {"kind", to_string(manifest.kind)},
        {"unit", manifest.unit},
        {"labels", manifest.labels},
        {"entries", manifest.entries},
        {"files", manifest.files},
        {"tree_bytes", manifest.tree_bytes},
        {"index", {{"sha256", manifest.index.hex()}, {"bytes", manifest.index_bytes}}},
        {"packs", std::move(packs)}};
    if (manifest.run) {
        out["run"] = run_spec_json(*manifest.run);
    }
    return out;
}

void show(const ArtifactMetadata& artifact) {
    const auto& manifest = artifact.manifest;
    print_line(manifest.id.text() + " (" + std::string(to_string(manifest.kind)) + ")");
    print_line("  manifest  " + artifact.digest.hex());
    print_line("  tree      " + std::to_string(manifest.files) + " files, " +
               std::to_string(manifest.entries) + " names, " + human_bytes(manifest.tree_bytes));
    print_line("  index     " + manifest.index.hex() + ", " + human_bytes(manifest.index_bytes));
    if (!manifest.unit.empty()) {
        print_line("  unit      " + manifest.unit);
    }
    if (manifest.run) {
        print_line("  runs      " + canonical_json(run_spec_json(*manifest.run)));
    }
    for (const auto& [key, value] : manifest.labels) {
        std::string line = "  label     ";
        print_line(line.append(key).append("=").append(value));
    }
    for (const auto& pack : artifact.packs.packs) {
        print_line("  pack      " + pack.id.name().substr(0, 16) + "  " +
                   human_bytes(pack.id.bytes) +
                   (pack.role == PackRole::base
                        ? "  full, made for " + pack.to_version
                        : "  patches " + pack.from_version + " -> " + pack.to_version));
    }
}

Result<> run(const Options& options, const Context& context) {
    const auto id = ArtifactId::parse(options.id);
    if (!id) {
        return tl::unexpected(id.error());
    }
    const auto remote = Remote::open(options.repo, options.trust, options.tls);
    if (!remote) {
        return tl::unexpected(remote.error());
    }
    return load_artifact((*remote)->trusted(), (*remote)->source(), *id)
        .map([&](const ArtifactMetadata& artifact) {
            if (context.json) {
                print_json(as_json(artifact));
            } else {
                show(artifact);
            }
        });
}

} // namespace

Command inspect_command(CLI::App& parent, Context& context) {
    auto* app =
        parent.add_subcommand("inspect", "Show what an artifact is and where its bytes are");
    auto options = std::make_shared<Options>();
    app->add_option("--repo", options->repo, "Directory or URL of the repository")->required();
    app->add_option("artifact", options->id, "NAME@VERSION")->required();
    app->add_option("--trust", options->trust, "Root metadata that you trust");
    tls::add_flags(*app, options->tls);
    add_json_flag(*app, context);
    return {app, [options](const Context& given) { return run(*options, given); }};
}

} // namespace slipway::cli
