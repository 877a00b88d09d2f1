// slipway repo sign, slipway repo root export
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/key_options.h"
#include "cli/output.h"
#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/trust/role_body.h"

namespace slipway::cli {
namespace {

struct Options {
    KeyOptions keys;
    bool show = false;
    std::string discard;
    std::vector<std::string> renew;
    std::string out;
};

/// What is staged, by role: the lines that a person should read before signing.
nlohmann::json staged_changes(const trust::RepositoryEditor& editor) {
    auto out = nlohmann::json::object();
    for (const auto& [role, body] : editor.drafts()) {
        if (role == "snapshot" || role == "timestamp") {
            continue; // They say what follows from the others.
        }
        const auto* const before = editor.published().find(role);
        out[role] = trust::differences(
            before == nullptr ? trust::new_body("targets") : before->file.body, body);
    }
    return out;
}

void show_changes(const nlohmann::json& changes) {
    for (const auto& [role, lines] : changes.items()) {
        print_line("Staged change of " + role + ":");
        for (const auto& line : lines) {
            print_line("  " + line.get<std::string>());
        }
    }
}

Result<> sign(const Options& options, const Context& context) {
    auto session = EditSession::open(options.keys, "repo sign");
    if (!session) {
        return tl::unexpected(session.error());
    }
    auto& editor = session->editor();
    if (!options.discard.empty()) {
        return editor.discard(options.discard).map([&] {
            show_outcome({}, context.json, {{"discarded", options.discard}});
        });
    }
    for (const auto& role : options.renew) {
        if (editor.published().find(role) == nullptr || role == "snapshot" || role == "timestamp") {
            return fail(Errc::usage, "--renew " + role + ": root, targets or a delegated prefix");
        }
        if (auto changed = editor.change(role); !changed) {
            return tl::unexpected(changed.error());
        }
    }
    auto changes = staged_changes(editor);
    if (!context.json) {
        show_changes(changes);
    }
    if (options.show) {
        if (context.json) {
            print_json({{"changes", std::move(changes)}});
        }
        return {};
    }
    return editor.settle(trust::RepositoryEditor::Staged::sign)
        .map([&](const trust::Outcome& outcome) {
            show_outcome(outcome, context.json, {{"changes", std::move(changes)}});
        });
}

Result<> export_root(const Options& options, const Context& context) {
    auto session = EditSession::open(options.keys, "repo root export");
    if (!session) {
        return tl::unexpected(session.error());
    }
    const auto& root = session->editor().published().root_file;
    const auto file = std::filesystem::path(options.keys.repo) / "metadata" /
                      trust::versioned_name("root", root.header.version);
    return read_file(file, trust::limits::root_bytes).and_then([&](const Bytes& bytes) -> Result<> {
        if (options.out.empty()) {
            std::fwrite(bytes.data(), 1, bytes.size(), stdout);
            return std::fflush(stdout) == 0 ? Result<>{} : fail_errno("write the root");
        }
        return replace_file(options.out, bytes).map([&] {
            if (context.json) {
                print_json({{"root", options.out}, {"version", root.header.version}});
            } else {
                print_line("Wrote root version " + std::to_string(root.header.version) + " to " +
                           options.out);
            }
        });
    });
}

} // namespace

std::vector<Command> repo_sign_commands(CLI::App& repo, Context& context) {
    auto options = std::make_shared<Options>();
    auto* app = repo.add_subcommand("sign", "Sign what other holders staged, and publish it when "
                                            "enough have signed");
    options->keys.add_to(*app);
    app->add_flag("--show", options->show, "Only show what is staged");
    app->add_option("--discard", options->discard, "Drop the staged change of this role");
    app->add_option("--renew", options->renew,
                    "Make a new version of root, targets or a delegated role, with a new expiry");
    add_json_flag(*app, context);
    std::vector<Command> out{
        {app, [options](const Context& given) { return sign(*options, given); }}};

    auto* root = repo.add_subcommand("root", "The root of trust");
    root->require_subcommand(1);
    options = std::make_shared<Options>();
    app = root->add_subcommand("export", "Print the newest root, for hosts' --trust");
    options->keys.add_to(*app);
    app->add_option("--out", options->out, "File to write it to");
    add_json_flag(*app, context);
    out.push_back({app, [options](const Context& given) { return export_root(*options, given); }});
    return out;
}

} // namespace slipway::cli
