#include "cli/key_options.h"

#include <cstdlib>

#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cli/passphrase.h"
#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/repository/layout.h"

namespace slipway::cli {
namespace {

constexpr std::size_t public_key_bytes_max = 65'536;
constexpr unsigned lock_patience_ms = 600'000;

std::string join(const std::vector<std::string>& ids) {
    std::string out;
    for (const auto& id : ids) {
        out += (out.empty() ? "" : ", ") + id.substr(0, 16);
    }
    return out.empty() ? "nobody" : out;
}

} // namespace

void KeyOptions::add_to(CLI::App& app) {
    app.add_option("--repo", repo, "Directory of the repository")->required();
    app.add_option("--keys", keys, "Directory of your keys (default: DIR.keys)");
    auto* file =
        app.add_option("--passphrase-file", passphrase_file,
                       "File with the passphrase of encrypted keys, mode 0600 (default: ask)")
            ->envname("SLIPWAY_KEY_PASSPHRASE_FILE");
    app.add_option("--passphrase-fd", passphrase_fd,
                   "Descriptor to read the passphrase of encrypted keys from")
        ->excludes(file);
}

trust::Passphrase KeyOptions::passphrase() const {
    if (passphrase_fd >= 0) {
        return passphrase_from_fd(passphrase_fd);
    }
    return passphrase_file.empty() ? passphrase_from_terminal()
                                   : passphrase_from_file(passphrase_file);
}

trust::KeyDirectory KeyOptions::directory() const {
    return {keys.empty() ? layout::default_keys(repo) : std::filesystem::path(keys), passphrase()};
}

void NewKeyOptions::add_to(CLI::App& app) {
    app.add_option("--type", type, "Kind of a new key: ed25519, ecdsa (P-256) or rsa (PSS, 3072)")
        ->check(CLI::IsMember({"ed25519", "ecdsa", "rsa"}))
        ->capture_default_str();
    app.add_flag("--encrypt", encrypt, "Encrypt a new key's file with a passphrase");
}

Result<trust::NewKeys> NewKeyOptions::read(const KeyOptions& options) const {
    trust::NewKeys out;
    out.kind = type == "ecdsa" ? trust::KeyKind::ecdsa_p256
               : type == "rsa" ? trust::KeyKind::rsa_pss
                               : trust::KeyKind::ed25519;
    if (!encrypt) {
        return out;
    }
    const auto ask = options.passphrase();
    auto given = ask("the new key");
    const auto again = given ? ask("the new key, once more") : given; // A slip would cost the key.
    if (!again) {
        return tl::unexpected(again.error());
    }
    if (given->empty() || *given != *again) {
        return fail(Errc::usage, given->empty() ? "the passphrase is empty"
                                                : "the two passphrases are not the same");
    }
    out.passphrase = std::move(*given);
    return out;
}

Result<EditSession> EditSession::open(const KeyOptions& options, const std::string& purpose) {
    auto lock = Workspace::open(options.repo, purpose, lock_patience_ms, nullptr);
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    auto editor = trust::RepositoryEditor::open(options.repo, options.directory(),
                                                std::chrono::system_clock::now());
    if (!editor) {
        return tl::unexpected(editor.error());
    }
    return EditSession(std::move(*lock), std::move(*editor));
}

Result<trust::PublicKey> read_public_key(const std::filesystem::path& path) {
    return read_file(path, public_key_bytes_max).and_then([&](const Bytes& pem) {
        return trust::PublicKey::from_pem(as_text(pem), path.string());
    });
}

nlohmann::json as_json(const std::vector<trust::Waiting>& waiting) {
    auto out = nlohmann::json::array();
    for (const auto& one : waiting) {
        out.push_back({{"role", one.role},
                       {"under", one.under},
                       {"threshold", one.threshold},
                       {"signed_by", one.signed_by},
                       {"missing", one.missing}});
    }
    return out;
}

void show_waiting(const std::vector<trust::Waiting>& waiting) {
    if (waiting.empty()) {
        return;
    }
    print_line("Staged; it becomes valid when enough holders have run 'slipway repo sign':");
    for (const auto& one : waiting) {
        print_line("  " + one.role + " needs " + std::to_string(one.threshold) + " (" + one.under +
                   "), signed by " + join(one.signed_by) + "; can sign: " + join(one.missing));
    }
}

void show_outcome(const trust::Outcome& outcome, bool json, nlohmann::json extra) {
    if (json) {
        extra["published"] = outcome.published;
        extra["waiting"] = as_json(outcome.waiting);
        print_json(extra);
        return;
    }
    for (const auto& file : outcome.published) {
        print_line("Published metadata/" + file);
    }
    show_waiting(outcome.waiting);
    if (outcome.published.empty() && outcome.waiting.empty()) {
        print_line("There is nothing to sign.");
    }
}

} // namespace slipway::cli
