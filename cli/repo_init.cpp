#include <chrono>
#include <filesystem>
#include <memory>
#include <system_error>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/key_options.h"
#include "cli/output.h"
#include "common/core/errc.h"
#include "common/trust/signer.h"

namespace slipway::cli {
namespace fs = std::filesystem;
namespace {

struct Options {
    KeyOptions keys;
    NewKeyOptions new_keys;
};

void explain(const fs::path& repository, const fs::path& keys) {
    print_line("Made the repository " + repository.string() + " with its keys in " + keys.string() +
               ".");
    print_line("");
    print_line("  Take offline:  " + (keys / "root").string() +
               "*      It alone can replace the other keys.");
    print_line("  To publish:    targets, snapshot and timestamp keys, on the machine that runs "
               "'slipway publish'.");
    print_line("  To hosts:      " + (repository / "metadata" / "1.root.json").string());
    print_line("                 Install it with the machines (slipway-agent install --trust): it "
               "is what they trust.");
    print_line("");
    print_line("Next: slipway publish --repo " + repository.string() + " NAME@VERSION TREE");
}

Result<> run(const Options& options, const Context& context) {
    const fs::path repository = options.keys.repo;
    const auto keys = options.keys.directory().path();
    const auto wanted = options.new_keys.read(options.keys);
    if (!wanted) {
        return tl::unexpected(wanted.error());
    }
    std::error_code error;
    fs::create_directories(repository, error);
    if (error) {
        return fail(error, "create " + repository.string());
    }
    return trust::init_repository(repository, keys, std::chrono::system_clock::now(), *wanted)
        .and_then([&]() -> Result<> {
            for (const auto* part : {"packs", "targets"}) {
                fs::create_directories(repository / part, error);
            }
            return error ? fail(error, "create " + (repository / "packs").string()) : Result<>{};
        })
        .map([&] {
            if (context.json) {
                print_json({{"repository", repository.string()},
                            {"keys", keys.string()},
                            {"root", (repository / "metadata" / "1.root.json").string()}});
            } else {
                explain(repository, keys);
            }
        });
}

} // namespace

Command repo_init_command(CLI::App& parent, Context& context) {
    auto* app = parent.add_subcommand("init", "Make a new repository and its keys");
    auto options = std::make_shared<Options>();
    options->keys.add_to(*app);
    options->new_keys.add_to(*app);
    add_json_flag(*app, context);
    return {app, [options](const Context& given) { return run(*options, given); }};
}

} // namespace slipway::cli
