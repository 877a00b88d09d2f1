#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "common/core/bytes.h"
#include "common/core/result.h"

struct evp_pkey_st; // OpenSSL's EVP_PKEY.

namespace slipway::trust {

struct FreeKey {
    void operator()(evp_pkey_st* key) const;
};
using KeyHandle = std::unique_ptr<evp_pkey_st, FreeKey>;

/// A public key as metadata lists it (TUF 4.2.2). Kinds: ed25519; ecdsa on P-256; rsa of 2048 to
/// 8192 bits with PSS. A key of another kind, or one that does not decode, is kept and never
/// verifies anything: new kinds of keys must not make old clients refuse the whole file.
class PublicKey {
public:
    /// Error: Errc::verification_failed if `key` is no key object.
    [[nodiscard]] static Result<PublicKey> from_json(const nlohmann::json& key,
                                                     std::string_view what);
    /// A PEM file "PUBLIC KEY" of a supported kind, as `openssl pkey -pubout` writes it.
    /// Error: Errc::usage.
    [[nodiscard]] static Result<PublicKey> from_pem(std::string_view pem, std::string_view what);
    /// SHA-256, in hexadecimal, of the canonical form of the whole key object, fields that this
    /// program does not know included.
    [[nodiscard]] const std::string& id() const { return id_; }
    /// The key object as it was listed: what is written into metadata.
    [[nodiscard]] nlohmann::json object() const;
    /// False too for keys that are not usable.
    [[nodiscard]] bool verifies(ByteSpan message, ByteSpan signature) const;
    /// The bare key (DER), equal for two objects that differ in other fields only. Empty if the
    /// key is not usable.
    [[nodiscard]] std::string material() const;
    /// The key as a PEM file, for handing it to somebody. Empty if the key is not usable.
    [[nodiscard]] std::string pem() const;

private:
    PublicKey() = default;
    [[nodiscard]] KeyHandle decode() const;

    std::string id_;
    std::string json_; ///< The object as JSON text.
    std::string type_;
    std::string scheme_;
    std::string value_;
};

enum class KeyKind { ed25519, ecdsa_p256, rsa_pss };

/// Gives the passphrase of an encrypted key; `key` names it for a person. Is called only when one
/// is needed.
using Passphrase = std::function<Result<std::string>(const std::string& key)>;

/// A private key, or a handle to one in a PKCS#11 token. It never leaves the process except
/// through save().
class SigningKey {
public:
    [[nodiscard]] static Result<SigningKey> generate(KeyKind kind = KeyKind::ed25519);
    /// A PEM PKCS#8 file, encrypted or not. Errors: Errc::not_found if there is no such file;
    /// Errc::failed if it is no key of a supported kind, if others than its owner may read it, or
    /// if the passphrase is wrong or there is none.
    [[nodiscard]] static Result<SigningKey> load(const std::filesystem::path& path,
                                                 const Passphrase& passphrase = {});
    /// A key of which OpenSSL has a handle. `what` names it in errors.
    [[nodiscard]] static Result<SigningKey> adopt(KeyHandle key, const std::string& what);
    /// Writes the file with mode 0600, synced; encrypted (scrypt, AES-256) if `passphrase` is not
    /// empty.
    [[nodiscard]] Result<> save(const std::filesystem::path& path,
                                const std::string& passphrase = {}) const;

    [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
    [[nodiscard]] Result<Bytes> sign(ByteSpan message) const;

private:
    SigningKey(KeyHandle key, PublicKey public_key)
        : key_(std::move(key)), public_key_(std::move(public_key)) {}

    KeyHandle key_;
    PublicKey public_key_;
};

/// A file with a secret on its first line. Errors: Errc::failed if others than its owner may read
/// it; the disk's. Nothing of the content is in an error.
[[nodiscard]] Result<std::string> read_secret(const std::filesystem::path& path);

} // namespace slipway::trust
