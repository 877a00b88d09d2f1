#include "common/trust/keys.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "common/core/errc.h"
#include "common/core/sha256.h"
#include "common/io/file_ops.h"
#include "common/trust/canonical_json.h"

namespace slipway::trust {
namespace {

using nlohmann::json;

constexpr std::size_t key_object_bytes_max = 16'384;
constexpr std::size_t key_file_bytes_max = 65'536;
constexpr int rsa_bits_min = 2048; // TUF 4.2.2.
constexpr int rsa_bits_max =
    8192; // Verifying with larger keys costs a hostile file nothing, us much.
constexpr int rsa_bits_generated = 3072;
constexpr std::size_t ed25519_key_bytes = 32;

struct FreeBio {
    void operator()(BIO* bio) const { BIO_free(bio); }
};
using BioHandle = std::unique_ptr<BIO, FreeBio>;
struct FreeContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using ContextHandle = std::unique_ptr<EVP_MD_CTX, FreeContext>;

/// OpenSSL queues what went wrong in the thread; what is left behind would be read as the cause of
/// another failure later.
struct ClearErrors {
    ClearErrors() = default;
    ~ClearErrors() { ERR_clear_error(); }
    ClearErrors(const ClearErrors&) = delete;
    ClearErrors& operator=(const ClearErrors&) = delete;
};

BioHandle reader(std::string_view text) {
    return BioHandle(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string contents(BIO* bio) {
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio, &data);
    return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

// OpenSSL would ask on the terminal by itself, and hang a daemon.
int no_passphrase(char* /*out*/, int /*size*/, int /*for_writing*/, void* /*context*/) {
    return -1;
}

bool is_p256(const EVP_PKEY* key) {
    std::array<char, 64> group{};
    std::size_t size = 0;
    return EVP_PKEY_is_a(key, "EC") == 1 &&
           EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) == 1 &&
           std::string_view(group.data(), size) == "prime256v1";
}

bool is_good_rsa(const EVP_PKEY* key) {
    const int bits = EVP_PKEY_get_bits(key);
    return EVP_PKEY_is_a(key, "RSA") == 1 && bits >= rsa_bits_min && bits <= rsa_bits_max;
}

/// The digest is SHA-256 except for Ed25519, which hashes by itself.
const EVP_MD* digest_for(const EVP_PKEY* key) {
    return EVP_PKEY_is_a(key, "ED25519") == 1 ? nullptr : EVP_sha256();
}

bool set_padding(const EVP_PKEY* key, EVP_PKEY_CTX* context, int salt) {
    return EVP_PKEY_is_a(key, "RSA") != 1 ||
           (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(context, salt) == 1);
}

std::string public_pem(EVP_PKEY* key) {
    const BioHandle bio(BIO_new(BIO_s_mem()));
    return bio && PEM_write_bio_PUBKEY(bio.get(), key) == 1 ? contents(bio.get()) : std::string();
}

json describe_public(EVP_PKEY* key) {
    if (EVP_PKEY_is_a(key, "ED25519") == 1) {
        std::array<std::uint8_t, ed25519_key_bytes> raw{};
        std::size_t size = raw.size();
        if (EVP_PKEY_get_raw_public_key(key, raw.data(), &size) != 1 || size != raw.size()) {
            return nullptr;
        }
        return {
            {"keytype", "ed25519"}, {"scheme", "ed25519"}, {"keyval", {{"public", to_hex(raw)}}}};
    }
    if (is_p256(key)) {
        return {{"keytype", "ecdsa"},
                {"scheme", "ecdsa-sha2-nistp256"},
                {"keyval", {{"public", public_pem(key)}}}};
    }
    if (is_good_rsa(key)) {
        return {{"keytype", "rsa"},
                {"scheme", "rsassa-pss-sha256"},
                {"keyval", {{"public", public_pem(key)}}}};
    }
    return nullptr;
}

std::string text_member(const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

} // namespace

void FreeKey::operator()(evp_pkey_st* key) const {
    EVP_PKEY_free(key);
}

Result<PublicKey> PublicKey::from_json(const json& key, std::string_view what) {
    const auto refuse = [&](const char* why) {
        return fail(Errc::verification_failed, std::string(what) + ": " + why);
    };
    if (!key.is_object()) {
        return refuse("a key is not an object");
    }
    PublicKey out;
    const auto canonical = canonical_json(key);
    if (canonical.size() > key_object_bytes_max) {
        return refuse("a key is longer than 16 KiB");
    }
    out.type_ = text_member(key, "keytype");
    out.scheme_ = text_member(key, "scheme");
    const auto value = key.find("keyval");
    if (out.type_.empty() || out.scheme_.empty() || value == key.end() || !value->is_object()) {
        return refuse("a key lacks keytype, scheme or keyval");
    }
    out.value_ = text_member(*value, "public");
    out.id_ = sha256(as_bytes(canonical)).hex();
    out.json_ = key.dump();
    return out;
}

json PublicKey::object() const {
    return json::parse(json_);
}

KeyHandle PublicKey::decode() const {
    const ClearErrors clear;
    if (type_ == "ed25519" && scheme_ == "ed25519") {
        const auto raw = from_hex(value_);
        if (!raw || raw->size() != ed25519_key_bytes) {
            return nullptr;
        }
        return KeyHandle(
            EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw->data(), raw->size()));
    }
    // The scheme's name as the key's type was written by earlier TUF implementations.
    const bool ecdsa =
        (type_ == "ecdsa" || type_ == "ecdsa-sha2-nistp256") && scheme_ == "ecdsa-sha2-nistp256";
    const bool rsa = type_ == "rsa" && scheme_ == "rsassa-pss-sha256";
    if (!ecdsa && !rsa) {
        return nullptr;
    }
    KeyHandle key(PEM_read_bio_PUBKEY(reader(value_).get(), nullptr, no_passphrase, nullptr));
    if (!key || !(ecdsa ? is_p256(key.get()) : is_good_rsa(key.get()))) {
        return nullptr;
    }
    return key;
}

bool PublicKey::verifies(ByteSpan message, ByteSpan signature) const {
    const ClearErrors clear;
    const auto key = decode();
    const ContextHandle context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* key_context = nullptr; // Owned by `context`.
    return key && context &&
           EVP_DigestVerifyInit(context.get(), &key_context, digest_for(key.get()), nullptr,
                                key.get()) == 1 &&
           set_padding(key.get(), key_context, RSA_PSS_SALTLEN_AUTO) &&
           EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                            message.size()) == 1;
}

std::string PublicKey::material() const {
    const ClearErrors clear;
    const auto key = decode();
    const BioHandle bio(BIO_new(BIO_s_mem()));
    return key && bio && i2d_PUBKEY_bio(bio.get(), key.get()) == 1 ? contents(bio.get())
                                                                   : std::string();
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem, std::string_view what) {
    const ClearErrors clear;
    const KeyHandle key(PEM_read_bio_PUBKEY(reader(pem).get(), nullptr, no_passphrase, nullptr));
    const auto description = key ? describe_public(key.get()) : json(nullptr);
    if (!description.is_object()) {
        return fail(Errc::usage, std::string(what) + ": not a PEM public key of a supported kind "
                                                     "(Ed25519, ECDSA P-256, RSA)");
    }
    return from_json(description, what);
}

std::string PublicKey::pem() const {
    const ClearErrors clear;
    const auto key = decode();
    return key ? public_pem(key.get()) : std::string();
}

Result<SigningKey> SigningKey::adopt(KeyHandle key, const std::string& what) {
    const ClearErrors clear;
    const auto description = key ? describe_public(key.get()) : json(nullptr);
    if (!description.is_object()) {
        return fail(Errc::failed, what + ": not a private key of a supported kind (PEM PKCS#8; "
                                         "Ed25519, ECDSA P-256, RSA of 2048 bits and more)");
    }
    auto described = PublicKey::from_json(description, what);
    if (!described) {
        return tl::unexpected(described.error());
    }
    return SigningKey(std::move(key), std::move(*described));
}

Result<SigningKey> SigningKey::generate(KeyKind kind) {
    const ClearErrors clear;
    EVP_PKEY* made = nullptr;
    switch (kind) {
    case KeyKind::ed25519:
        made = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
        break;
    case KeyKind::ecdsa_p256:
        made = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
        break;
    case KeyKind::rsa_pss:
        made = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA",
                                 static_cast<std::size_t>(rsa_bits_generated));
        break;
    }
    return adopt(KeyHandle(made), "generate a key");
}

namespace {

/// The whole file, if it is private to its owner.
Result<Bytes> read_private(const std::filesystem::path& path, const char* what) {
    const auto name = std::string(what) + " " + path.string();
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) {
        return errno == ENOENT ? fail(Errc::not_found, "read " + name) : fail_errno("read " + name);
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return fail(Errc::failed, "read " + name +
                                      ": others than its owner can read it; chmod 600 it, and "
                                      "replace it if someone may have");
    }
    return read_file(path, key_file_bytes_max).map_error([&](Error error) {
        return within(std::string("read ") + what, std::move(error));
    });
}

/// Asked for by OpenSSL while it decodes; keeps what the source answered.
struct PassphraseCall {
    const Passphrase& source;
    std::string key;
    std::optional<Error> refused;

    static int answer(char* out, int size, int /*for_writing*/, void* context) {
        auto& call = *static_cast<PassphraseCall*>(context);
        if (!call.source) {
            call.refused = Error{Errc::failed, "it is encrypted, and no passphrase was given"};
            return -1;
        }
        auto given = call.source(call.key);
        if (given && (given->empty() || given->size() > static_cast<std::size_t>(size))) {
            given = fail(Errc::failed, "the passphrase is empty or too long");
        }
        if (!given) {
            call.refused = given.error();
            return -1;
        }
        std::copy(given->begin(), given->end(), out);
        const auto length = static_cast<int>(given->size());
        OPENSSL_cleanse(given->data(), given->size());
        return length;
    }
};

struct FreeInfo {
    void operator()(PKCS8_PRIV_KEY_INFO* info) const { PKCS8_PRIV_KEY_INFO_free(info); }
};
struct FreeEncrypted {
    void operator()(X509_SIG* encrypted) const { X509_SIG_free(encrypted); }
};

// The parameters that `openssl pkcs8 -topk8 -scrypt` takes: 16 MiB and some 50 ms for each guess.
bool write_encrypted(BIO* out, const EVP_PKEY* key, const std::string& passphrase) {
    constexpr std::uint64_t scrypt_n = 16'384;
    const std::unique_ptr<PKCS8_PRIV_KEY_INFO, FreeInfo> info(EVP_PKEY2PKCS8(key));
    auto* scrypt = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), nullptr, 0, nullptr, scrypt_n, 8, 1);
    if (!info || scrypt == nullptr) {
        X509_ALGOR_free(scrypt);
        return false;
    }
    // Takes over `scrypt` when it succeeds.
    const std::unique_ptr<X509_SIG, FreeEncrypted> encrypted(
        PKCS8_set0_pbe(passphrase.data(), static_cast<int>(passphrase.size()), info.get(), scrypt));
    if (!encrypted) {
        X509_ALGOR_free(scrypt);
        return false;
    }
    return PEM_write_bio_PKCS8(out, encrypted.get()) == 1;
}

} // namespace

Result<std::string> read_secret(const std::filesystem::path& path) {
    return read_private(path, "secret").map([](Bytes bytes) {
        std::string text(as_text(bytes));
        OPENSSL_cleanse(bytes.data(), bytes.size());
        text.resize(std::min(text.size(), text.find_first_of("\r\n")));
        return text;
    });
}

Result<SigningKey> SigningKey::load(const std::filesystem::path& path,
                                    const Passphrase& passphrase) {
    const ClearErrors clear;
    auto text = read_private(path, "key");
    if (!text) {
        return tl::unexpected(text.error());
    }
    const auto what = "read key " + path.string();
    PassphraseCall call{passphrase, path.string(), {}};
    KeyHandle key(PEM_read_bio_PrivateKey(reader(as_text(*text)).get(), nullptr,
                                          PassphraseCall::answer, &call));
    const bool encrypted = as_text(*text).find("ENCRYPTED") != std::string_view::npos;
    OPENSSL_cleanse(text->data(), text->size());
    if (call.refused) {
        return tl::unexpected(within(what, *call.refused));
    }
    if (!key && encrypted) {
        return fail(Errc::failed, what + ": the passphrase is wrong, or the file is damaged");
    }
    return adopt(std::move(key), what);
}

Result<> SigningKey::save(const std::filesystem::path& path, const std::string& passphrase) const {
    const ClearErrors clear;
    const BioHandle bio(BIO_new(BIO_s_secmem()));
    const bool encoded =
        bio &&
        (passphrase.empty() ? PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr,
                                                            0, nullptr, nullptr) == 1
                            : write_encrypted(bio.get(), key_.get(), passphrase));
    if (!encoded) {
        return fail(Errc::failed, "encode key for " + path.string());
    }
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio.get(), &data);
    return replace_file(path, as_bytes({data, static_cast<std::size_t>(size)}), 0600);
}

Result<Bytes> SigningKey::sign(ByteSpan message) const {
    const ClearErrors clear;
    const ContextHandle context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* key_context = nullptr; // Owned by `context`.
    Bytes out(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())));
    std::size_t size = out.size();
    if (!context ||
        EVP_DigestSignInit(context.get(), &key_context, digest_for(key_.get()), nullptr,
                           key_.get()) != 1 ||
        !set_padding(key_.get(), key_context, RSA_PSS_SALTLEN_DIGEST) ||
        EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) != 1) {
        return fail(Errc::failed, "sign with key " + public_key_.id());
    }
    out.resize(size);
    return out;
}

} // namespace slipway::trust
