#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/core/result.h"
#include "common/trust/keys.h"

namespace slipway::trust {

/// The keys that one holder has, in a directory of mode 0700 outside the repository:
///
///     ROLE.pem  ROLE+LABEL.pem    a private key, PEM PKCS#8, encrypted or not
///     ROLE.uri  ROLE+LABEL.uri    one line with the `pkcs11:` URI of a private key in a token
///     root.json                   the newest root that this holder has verified
///     retired/                    keys that a root or a delegation revoked
///
/// ROLE is a role's name, escaped as in metadata's file names ('+' is always escaped there).
class KeyDirectory {
public:
    // NOLINTNEXTLINE(google-explicit-constructor): a directory is what most callers have.
    KeyDirectory(std::filesystem::path directory, Passphrase passphrase = {})
        : directory_(std::move(directory)), passphrase_(std::move(passphrase)) {}

    struct Held {
        std::filesystem::path file;
        SigningKey key;
    };

    [[nodiscard]] const std::filesystem::path& path() const { return directory_; }
    /// Where a role's first key is, or would be.
    [[nodiscard]] std::filesystem::path file_of(const std::string& role) const;
    /// Whether there is any key file of the role; opens none.
    [[nodiscard]] bool has(const std::string& role) const;
    /// All keys of the role, by file name; none is not an error. May ask for passphrases.
    [[nodiscard]] Result<std::vector<Held>> keys_of(const std::string& role) const;
    /// Saves a new key of the role as ROLE+<first 8 digits of its id>.pem.
    [[nodiscard]] Result<std::filesystem::path> add(const std::string& role, const SigningKey& key,
                                                    const std::string& passphrase) const;
    /// Moves a file of a revoked key to retired/.
    [[nodiscard]] Result<> retire(const std::filesystem::path& file) const;

private:
    [[nodiscard]] std::vector<std::filesystem::path> files_of(const std::string& role) const;
    [[nodiscard]] Result<SigningKey> load(const std::filesystem::path& file) const;

    std::filesystem::path directory_;
    Passphrase passphrase_;
};

} // namespace slipway::trust
