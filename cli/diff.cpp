#include <memory>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/remote.h"
#include "common/repository/differ.h"
#include "common/tls/flags.h"

namespace slipway::cli {
namespace {

struct Options {
    std::string repo;
    std::string trust;
    tls::TlsFiles tls;
    std::string from;
    std::string to;
    std::size_t limit = 100;
};

void show_paths(char mark, const std::vector<std::string>& paths, std::uint64_t count) {
    for (const auto& path : paths) {
        print_line(std::string(1, mark) + " " + path);
    }
    if (count > paths.size()) {
        print_line(std::string(1, mark) + " ... and " + std::to_string(count - paths.size()) +
                   " more");
    }
}

void show(const TreeDiff& diff) {
    show_paths('+', diff.added, diff.added_count);
    show_paths('~', diff.changed, diff.changed_count);
    show_paths('-', diff.removed, diff.removed_count);
    print_line(std::to_string(diff.added_count) + " added, " + std::to_string(diff.changed_count) +
               " changed, " + std::to_string(diff.removed_count) + " removed");
    print_line("A host with the first fetches " + human_bytes(diff.fetch_bytes) +
               "; one with nothing fetches " + human_bytes(diff.full_bytes) + ".");
}

nlohmann::json as_json(const Options& options, const TreeDiff& diff) {
    const auto part = [](const std::vector<std::string>& paths, std::uint64_t count) {
        return nlohmann::json{{"count", count}, {"paths", paths}};
    };
    return {{"from", options.from},
            {"to", options.to},
            {"added", part(diff.added, diff.added_count)},
            {"changed", part(diff.changed, diff.changed_count)},
            {"removed", part(diff.removed, diff.removed_count)},
            {"fetch_bytes", diff.fetch_bytes},
            {"full_bytes", diff.full_bytes}};
}

Result<> run(const Options& options, const Context& context) {
    const auto from = ArtifactId::parse(options.from);
    const auto to = ArtifactId::parse(options.to);
    if (!from || !to) {
        return tl::unexpected(from ? to.error() : from.error());
    }
    const auto remote = Remote::open(options.repo, options.trust, options.tls);
    if (!remote) {
        return tl::unexpected(remote.error());
    }
    auto& source = (*remote)->source();
    const auto old_artifact = load_artifact((*remote)->trusted(), source, *from);
    const auto new_artifact = load_artifact((*remote)->trusted(), source, *to);
    if (!old_artifact || !new_artifact) {
        return tl::unexpected(old_artifact ? new_artifact.error() : old_artifact.error());
    }
    return diff_artifacts(source, *old_artifact, *new_artifact, options.limit)
        .map([&](const TreeDiff& diff) {
            if (context.json) {
                print_json(as_json(options, diff));
            } else {
                show(diff);
            }
        });
}

} // namespace

Command diff_command(CLI::App& parent, Context& context) {
    auto* app = parent.add_subcommand(
        "diff", "Show how two artifacts differ and what a host moves from one to the other");
    auto options = std::make_shared<Options>();
    app->add_option("--repo", options->repo, "Directory or URL of the repository")->required();
    app->add_option("from", options->from, "NAME@VERSION that a host has")->required();
    app->add_option("to", options->to, "NAME@VERSION that it shall have")->required();
    app->add_option("--limit", options->limit, "Paths to show of each sort")->capture_default_str();
    app->add_option("--trust", options->trust, "Root metadata that you trust");
    tls::add_flags(*app, options->tls);
    add_json_flag(*app, context);
    return {app, [options](const Context& given) { return run(*options, given); }};
}

} // namespace slipway::cli
