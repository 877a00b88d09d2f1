#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/core/result.h"
#include "common/repository/workspace.h"
#include "common/trust/signer.h"

namespace slipway::cli {

/// Flags of every command that signs.
struct KeyOptions {
    std::string repo;
    std::string keys;
    std::string passphrase_file;
    int passphrase_fd = -1;

    void add_to(CLI::App& app);
    [[nodiscard]] trust::KeyDirectory directory() const;
    /// Where passphrases come from: the descriptor, the file, the terminal without echo. It is
    /// asked once for a key. Never from an argument: others see those.
    [[nodiscard]] trust::Passphrase passphrase() const;
};

/// Flags of every command that makes a key.
struct NewKeyOptions {
    std::string type = "ed25519";
    bool encrypt = false;

    void add_to(CLI::App& app);
    /// Asks for the new key's passphrase if it is to be encrypted.
    [[nodiscard]] Result<trust::NewKeys> read(const KeyOptions& options) const;
};

/// The repository, locked, and open for changes of its metadata.
class EditSession {
public:
    [[nodiscard]] static Result<EditSession> open(const KeyOptions& options,
                                                  const std::string& purpose);
    [[nodiscard]] trust::RepositoryEditor& editor() { return editor_; }

private:
    EditSession(Workspace lock, trust::RepositoryEditor editor)
        : lock_(std::move(lock)), editor_(std::move(editor)) {}
    Workspace lock_;
    trust::RepositoryEditor editor_;
};

[[nodiscard]] Result<trust::PublicKey> read_public_key(const std::filesystem::path& path);

/// Prints what was published and what waits for whom; with `json` one line of JSON with `extra`.
void show_outcome(const trust::Outcome& outcome, bool json, nlohmann::json extra);
/// The lines of show_outcome() for what waits.
void show_waiting(const std::vector<trust::Waiting>& waiting);
[[nodiscard]] nlohmann::json as_json(const std::vector<trust::Waiting>& waiting);

} // namespace slipway::cli
