#include <memory>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "common/core/errc.h"
#include "common/io/progress.h"
#include "common/repository/verifier.h"

namespace slipway::cli {
namespace {

Result<> run(const std::string& repo, const Context& context) {
    Progress progress(progress_style(STDERR_FILENO, context.json));
    const auto report = verify_repository(repo, &progress, context.stop);
    progress.finish();
    if (!report) {
        return tl::unexpected(report.error());
    }
    if (context.json) {
        print_json({{"artifacts", report->artifacts},
                    {"packs", report->packs},
                    {"bytes", report->bytes},
                    {"chunks", report->chunks},
                    {"damage", report->damage}});
    }
    if (!report->damage.empty()) {
        for (const auto& line : report->damage) {
            print_note(line);
        }
        return fail(Errc::verification_failed,
                    repo + ": " + std::to_string(report->damage.size()) + " damaged");
    }
    if (!context.json) {
        print_line("All good: " + std::to_string(report->artifacts) + " artifacts, " +
                   std::to_string(report->packs) + " packs, " + human_bytes(report->bytes) + ", " +
                   std::to_string(report->chunks) + " chunks.");
    }
    return {};
}

} // namespace

Command verify_command(CLI::App& parent, Context& context) {
    auto* app = parent.add_subcommand(
        "verify", "Check every pack, index and manifest of a repository against its digest");
    auto repo = std::make_shared<std::string>();
    app->add_option("--repo", *repo, "Directory of the repository")->required();
    add_json_flag(*app, context);
    app->footer("Names each damaged file on stderr; exit status 3 if there is any.");
    return {app, [repo](const Context& given) { return run(*repo, given); }};
}

} // namespace slipway::cli
