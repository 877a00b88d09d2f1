// slipway repo key generate|show|list|add|rotate|revoke|threshold, slipway repo delegate|undelegate
#include <algorithm>
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/key_options.h"
#include "cli/output.h"
#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/trust/role_body.h"
#include "common/trust/utc_time.h"

namespace slipway::cli {
namespace fs = std::filesystem;
namespace {

struct Options {
    KeyOptions keys;
    NewKeyOptions new_key;
    std::string role;
    std::vector<std::string> given; ///< Files of public keys, or ids.
    std::string old_id;
    std::uint64_t threshold = 0; ///< 0: as it is.
};

Result<> save_pair(const trust::SigningKey& key, const fs::path& private_file,
                   const std::string& passphrase) {
    auto public_file = private_file;
    public_file.replace_extension(".pub");
    for (const auto& file : {private_file, public_file}) {
        std::error_code ignored;
        if (fs::exists(fs::symlink_status(file, ignored))) {
            return fail(Errc::failed, file.string() + ": exists already; nothing was changed");
        }
    }
    return key.save(private_file, passphrase).and_then([&] {
        return replace_file(public_file, as_bytes(key.public_key().pem()), 0644);
    });
}

Result<> generate(const Options& options, const std::string& file, const Context& context) {
    const auto wanted = options.new_key.read(options.keys);
    if (!wanted) {
        return tl::unexpected(wanted.error());
    }
    const auto key = trust::SigningKey::generate(wanted->kind);
    if (!key) {
        return tl::unexpected(key.error());
    }
    return save_pair(*key, file, wanted->passphrase).map([&] {
        auto public_file = fs::path(file);
        public_file.replace_extension(".pub");
        if (context.json) {
            print_json({{"key", key->public_key().id()}, {"public", public_file.string()}});
            return;
        }
        print_line("Key " + key->public_key().id());
        print_line("  keep:     " + file);
        print_line("  hand out: " + public_file.string());
    });
}

/// The public half of a key that a person already has: a PEM file or a file with a pkcs11: URI.
Result<> show_public(const Options& options, const std::string& role, const Context& context) {
    const auto held = options.keys.directory().keys_of(trust::role_of_prefix(role));
    if (!held) {
        return tl::unexpected(held.error());
    }
    if (held->empty()) {
        return fail(Errc::not_found,
                    "a key of role " + role + " in " + options.keys.directory().path().string());
    }
    for (const auto& one : *held) {
        const auto& key = one.key.public_key();
        if (context.json) {
            print_json({{"file", one.file.string()}, {"key", key.id()}, {"public", key.pem()}});
        } else {
            std::fputs(key.pem().c_str(), stdout);
        }
    }
    return {};
}

Result<std::vector<trust::PublicKey>> read_keys(const std::vector<std::string>& files) {
    std::vector<trust::PublicKey> out;
    for (const auto& file : files) {
        auto key = read_public_key(file);
        if (!key) {
            return tl::unexpected(key.error());
        }
        out.push_back(std::move(*key));
    }
    return out;
}

/// The public keys that were named, or a new key of this holder's.
Result<std::vector<trust::PublicKey>> keys_to_add(const Options& options) {
    if (!options.given.empty()) {
        return read_keys(options.given);
    }
    const auto wanted = options.new_key.read(options.keys);
    if (!wanted) {
        return tl::unexpected(wanted.error());
    }
    const auto key = trust::SigningKey::generate(wanted->kind);
    if (!key) {
        return tl::unexpected(key.error());
    }
    return options.keys.directory()
        .add(trust::role_of_prefix(options.role), *key, wanted->passphrase)
        .map([&](const fs::path& file) {
            print_note("made " + file.string());
            return std::vector<trust::PublicKey>{key->public_key()};
        });
}

/// Which keys a rotation takes away: the named one, else those of the role that are here, else the
/// only one.
Result<std::vector<std::string>> keys_to_replace(const Options& options,
                                                 const std::vector<std::string>& listed) {
    if (!options.old_id.empty()) {
        return std::vector{options.old_id};
    }
    const auto held = options.keys.directory().keys_of(trust::role_of_prefix(options.role));
    if (!held) {
        return tl::unexpected(held.error());
    }
    std::vector<std::string> out;
    for (const auto& one : *held) {
        const auto& id = one.key.public_key().id();
        if (std::find(listed.begin(), listed.end(), id) != listed.end()) {
            out.push_back(id);
        }
    }
    if (out.empty() && listed.size() == 1) {
        out = listed;
    }
    if (out.size() != 1) {
        return fail(Errc::usage, "role " + options.role + " has " + std::to_string(listed.size()) +
                                     " keys, " + std::to_string(out.size()) +
                                     " of them here: name the one to replace with --old");
    }
    return out;
}

std::vector<std::string> listed_keys(const trust::Published& published, const std::string& role) {
    if (const auto top = published.root.roles.find(role); top != published.root.roles.end()) {
        return top->second.key_ids;
    }
    const auto* const delegation =
        trust::find_delegation(published.top, trust::role_of_prefix(role));
    return delegation == nullptr ? std::vector<std::string>{} : delegation->keys.key_ids;
}

std::optional<std::uint64_t> threshold_of(const Options& options) {
    return options.threshold == 0 ? std::nullopt : std::optional(options.threshold);
}

/// Whether this holder may change the role's keys is found out before a key is made.
Result<EditSession> open_for(const Options& options, const char* purpose) {
    return EditSession::open(options.keys, purpose).and_then([&](EditSession session) {
        return session.editor()
            .change(trust::lister_of(options.role))
            .map([&](const nlohmann::json*) { return std::move(session); });
    });
}

Result<> finish(EditSession& session, const Options& options, const Context& context) {
    const auto changed = trust::lister_of(options.role);
    return session.editor()
        .settle(trust::RepositoryEditor::Staged::leave)
        .and_then([&](const trust::Outcome& outcome) -> Result<> {
            for (const auto& one : outcome.waiting) {
                if (one.role == changed && one.signed_by.empty()) {
                    return fail(Errc::failed, "sign " + changed + ": no key in " +
                                                  session.editor().keys().path().string() +
                                                  " is one that the repository lists for it (" +
                                                  one.under + ")");
                }
            }
            show_outcome(outcome, context.json, {});
            return {};
        });
}

Result<> add(const Options& options, const Context& context) {
    auto session = open_for(options, "repo key add");
    if (!session) {
        return tl::unexpected(session.error());
    }
    auto keys = keys_to_add(options);
    if (!keys) {
        return tl::unexpected(keys.error());
    }
    return trust::change_keys(session->editor(), options.role,
                              {std::move(*keys), {}, threshold_of(options)})
        .and_then([&] { return finish(*session, options, context); });
}

Result<> rotate(const Options& options, const Context& context) {
    auto session = open_for(options, "repo key rotate");
    if (!session) {
        return tl::unexpected(session.error());
    }
    const auto listed = listed_keys(session->editor().published(), options.role);
    if (listed.empty()) {
        return fail(Errc::not_found, "role " + options.role);
    }
    auto old = keys_to_replace(options, listed);
    if (!old) {
        return tl::unexpected(old.error());
    }
    auto keys = keys_to_add(options);
    if (!keys) {
        return tl::unexpected(keys.error());
    }
    return trust::change_keys(session->editor(), options.role,
                              {std::move(*keys), std::move(*old), threshold_of(options)})
        .and_then([&] { return finish(*session, options, context); });
}

Result<> revoke(const Options& options, const Context& context) {
    auto session = open_for(options, "repo key revoke");
    if (!session) {
        return tl::unexpected(session.error());
    }
    return trust::change_keys(session->editor(), options.role,
                              {{}, options.given, threshold_of(options)})
        .and_then([&] { return finish(*session, options, context); });
}

Result<> set_threshold(const Options& options, const Context& context) {
    auto session = open_for(options, "repo key threshold");
    if (!session) {
        return tl::unexpected(session.error());
    }
    return trust::change_keys(session->editor(), options.role, {{}, {}, options.threshold})
        .and_then([&] { return finish(*session, options, context); });
}

Result<> delegate(const Options& options, const Context& context) {
    auto session = open_for(options, "repo delegate");
    if (!session) {
        return tl::unexpected(session.error());
    }
    auto keys = read_keys(options.given);
    if (!keys) {
        return tl::unexpected(keys.error());
    }
    return trust::delegate(session->editor(), options.role,
                           {std::move(*keys), {}, threshold_of(options)})
        .and_then([&] { return finish(*session, options, context); });
}

Result<> undelegate(const Options& options, const Context& context) {
    auto session = open_for(options, "repo undelegate");
    if (!session) {
        return tl::unexpected(session.error());
    }
    return trust::undelegate(session->editor(), options.role).and_then([&] {
        return finish(*session, options, context);
    });
}

Result<> list(const Options& options, const Context& context) {
    auto session = EditSession::open(options.keys, "repo key list");
    if (!session) {
        return tl::unexpected(session.error());
    }
    const auto& published = session->editor().published();
    auto roles = nlohmann::json::array();
    const auto take = [&](const std::string& role, const trust::RoleKeys& keys, bool delegated) {
        const auto& header = published.find(role)->header;
        roles.push_back({{"role", role},
                         {"delegated", delegated},
                         {"threshold", keys.threshold},
                         {"keys", keys.key_ids},
                         {"version", header.version},
                         {"expires", trust::format_utc(header.expires)}});
    };
    for (const auto* role : {"root", "targets", "snapshot", "timestamp"}) {
        take(role, published.root.roles.at(role), false);
    }
    for (const auto& delegation : published.top.delegations) {
        take(delegation.name, delegation.keys, true);
    }
    if (context.json) {
        print_json({{"roles", std::move(roles)}});
        return {};
    }
    for (const auto& role : roles) {
        print_line(role["role"].get<std::string>() +
                   (role["delegated"].get<bool>() ? " (delegated)" : "") + ": version " +
                   role["version"].dump() + ", expires " + role["expires"].get<std::string>() +
                   ", signed by " + role["threshold"].dump() + " of");
        for (const auto& id : role["keys"]) {
            print_line("  " + id.get<std::string>());
        }
    }
    return {};
}

using Action = Result<> (*)(const Options&, const Context&);

/// A command that changes who may sign for a role.
CLI::App* role_command(CLI::App& parent, Context& context, std::vector<Command>& out,
                       const std::shared_ptr<Options>& options, const char* name, const char* about,
                       Action action) {
    auto* app = parent.add_subcommand(name, about);
    options->keys.add_to(*app);
    add_json_flag(*app, context);
    out.push_back(
        {app, [options, action](const Context& given) { return action(*options, given); }});
    return app;
}

constexpr auto role_help = "root, targets, snapshot, timestamp or a delegated prefix";

void add_generate(CLI::App& key, Context& context, std::vector<Command>& out) {
    auto options = std::make_shared<Options>();
    auto* app = key.add_subcommand("generate", "Make a key for a role of somebody's repository");
    app->add_option("file", options->role, "FILE.pem to write; FILE.pub gets the public half")
        ->required();
    options->new_key.add_to(*app);
    app->add_option("--passphrase-file", options->keys.passphrase_file,
                    "File with the passphrase, mode 0600 (default: ask)")
        ->envname("SLIPWAY_KEY_PASSPHRASE_FILE");
    add_json_flag(*app, context);
    out.push_back({app, [options](const Context& given) {
                       return generate(*options, options->role, given);
                   }});
    auto shown = std::make_shared<Options>();
    auto* show = key.add_subcommand("show", "Print the public half of your keys of a role (PEM)");
    show->add_option("role", shown->role, role_help)->required();
    show->add_option("--keys", shown->keys.keys, "Directory of your keys")->required();
    show->add_option("--passphrase-file", shown->keys.passphrase_file,
                     "File with the passphrase, mode 0600 (default: ask)")
        ->envname("SLIPWAY_KEY_PASSPHRASE_FILE");
    add_json_flag(*show, context);
    out.push_back(
        {show, [shown](const Context& given) { return show_public(*shown, shown->role, given); }});
}

void add_changes(CLI::App& key, Context& context, std::vector<Command>& out) {
    constexpr auto threshold_help = "How many keys must sign (default: as it is)";
    auto options = std::make_shared<Options>();
    auto* app =
        role_command(key, context, out, options, "add", "Let one more key sign for a role", add);
    app->add_option("role", options->role, role_help)->required();
    app->add_option("public", options->given,
                    "Files of public keys (PEM); without one a new key is made in --keys");
    app->add_option("--threshold", options->threshold, threshold_help);
    options->new_key.add_to(*app);

    options = std::make_shared<Options>();
    app = role_command(key, context, out, options, "rotate", "Replace a key of a role", rotate);
    app->add_option("role", options->role, role_help)->required();
    app->add_option("public", options->given,
                    "Files of public keys (PEM); without one a new key is made in --keys");
    app->add_option("--old", options->old_id, "Id of the key to replace (default: the one here)");
    options->new_key.add_to(*app);

    options = std::make_shared<Options>();
    app = role_command(key, context, out, options, "revoke", "Let a key sign for a role no more",
                       revoke);
    app->add_option("role", options->role, role_help)->required();
    app->add_option("key", options->given, "Ids of keys, or their first 8 digits or more")
        ->required();
    app->add_option("--threshold", options->threshold, threshold_help);

    options = std::make_shared<Options>();
    app = role_command(key, context, out, options, "threshold",
                       "Change how many keys must sign for a role", set_threshold);
    app->add_option("role", options->role, role_help)->required();
    app->add_option("number", options->threshold, "How many keys must sign")->required();
}

} // namespace

std::vector<Command> repo_key_commands(CLI::App& repo, Context& context) {
    std::vector<Command> out;
    auto* key = repo.add_subcommand("key", "Keys and who may sign what");
    key->require_subcommand(1);
    add_generate(*key, context, out);
    role_command(*key, context, out, std::make_shared<Options>(), "list",
                 "Show roles, their keys and when they expire", list);
    add_changes(*key, context, out);

    auto options = std::make_shared<Options>();
    auto* app = role_command(repo, context, out, options, "delegate",
                             "Let keys sign for the artifacts below a name", delegate);
    app->add_option("prefix", options->role,
                    "The artifact's name, or what it begins with up to a /")
        ->required();
    app->add_option("public", options->given, "Files of public keys (PEM)")->required();
    app->add_option("--threshold", options->threshold, "How many of them must sign (default: 1)");

    options = std::make_shared<Options>();
    app = role_command(repo, context, out, options, "undelegate",
                       "Take a delegation back; what it published is found no more", undelegate);
    app->add_option("prefix", options->role, "The delegated prefix")->required();
    return out;
}

} // namespace slipway::cli
