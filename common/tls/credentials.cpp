#include "common/tls/credentials.h"

#include <sys/stat.h>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/io/log.h"
#include "common/tls/openssl.h"
#include "common/tls/peer_check.h"

namespace slipway::tls {

struct Credentials::Loaded {
    CertificateHandle certificate;
    std::vector<CertificateHandle> intermediates;
    KeyHandle key;
    StoreHandle store;
    Identity identity;
    std::shared_ptr<ssl_ctx_st> server;
};

namespace {

using Loaded = Credentials::Loaded;

constexpr std::uint64_t pem_bytes_max = 1024ULL * 1024;
constexpr std::uint64_t crl_bytes_max = 16ULL * 1024 * 1024;
constexpr std::size_t chain_certificates_max = 16;

Result<Bytes> read_pem(const std::filesystem::path& path, std::uint64_t bytes_max) {
    return read_file(path, bytes_max).map_error([](Error error) {
        return error.code == std::errc::no_such_file_or_directory
                   ? Error{Errc::not_found, std::move(error.context)}
                   : std::move(error);
    });
}

/// Every object of one kind in a PEM file; what else is in it is passed over.
template <typename Handle, auto read_one>
Result<std::vector<Handle>> read_all(const std::filesystem::path& path, std::uint64_t bytes_max,
                                     const char* kind) {
    const auto text = read_pem(path, bytes_max);
    if (!text) {
        return tl::unexpected(text.error());
    }
    const ClearErrors clear;
    const auto bio = bio_over(*text);
    std::vector<Handle> all;
    while (bio) {
        Handle one(read_one(bio.get(), nullptr, no_passphrase, nullptr));
        if (!one) {
            break;
        }
        all.push_back(std::move(one));
    }
    // The end of the file reads as "no start line"; anything else is damage.
    if (all.empty() || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        return fail(Errc::failed,
                    "read " + path.string() + ": not a PEM file of " + kind + ", or a damaged one");
    }
    return all;
}

Result<KeyHandle> read_key(const std::filesystem::path& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) {
        return errno == ENOENT ? fail(Errc::not_found, "read key " + path.string())
                               : fail_errno("read key " + path.string());
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return fail(Errc::failed, "read key " + path.string() +
                                      ": others than its owner can read it; chmod 600 it, and "
                                      "replace key and certificate if someone may have");
    }
    const auto text = read_pem(path, pem_bytes_max);
    if (!text) {
        return tl::unexpected(text.error());
    }
    const ClearErrors clear;
    KeyHandle key(PEM_read_bio_PrivateKey(bio_over(*text).get(), nullptr, no_passphrase, nullptr));
    if (!key) {
        return fail(Errc::failed,
                    "read key " + path.string() + ": not an unencrypted PEM private key");
    }
    return key;
}

Result<> load_certificate(const TlsFiles& files, Loaded& loaded) {
    auto chain = read_all<CertificateHandle, PEM_read_bio_X509>(files.certificate, pem_bytes_max,
                                                                "certificates");
    if (!chain) {
        return tl::unexpected(chain.error());
    }
    if (chain->size() > chain_certificates_max) {
        return fail(Errc::failed, "read " + files.certificate.string() + ": over " +
                                      std::to_string(chain_certificates_max) + " certificates");
    }
    auto key = read_key(files.key);
    if (!key) {
        return tl::unexpected(key.error());
    }
    loaded.certificate = std::move(chain->front());
    chain->erase(chain->begin());
    loaded.intermediates = std::move(*chain);
    loaded.key = std::move(*key);
    const ClearErrors clear;
    if (X509_check_private_key(loaded.certificate.get(), loaded.key.get()) != 1) {
        return fail(Errc::failed, "key " + files.key.string() + " is not that of certificate " +
                                      files.certificate.string());
    }
    auto identity = identity_of(loaded.certificate.get());
    if (!identity) {
        return tl::unexpected(within("read " + files.certificate.string(), identity.error()));
    }
    loaded.identity = std::move(*identity);
    if (X509_cmp_current_time(X509_get0_notAfter(loaded.certificate.get())) < 0) {
        log_event(LogLevel::warning, "tls.certificate_expired",
                  {{"file", files.certificate.string()}, {"identity", loaded.identity.text()}});
    }
    return {};
}

Result<> add_revocation_lists(const TlsFiles& files, X509_STORE* store) {
    const auto lists = read_all<CrlHandle, PEM_read_bio_X509_CRL>(files.revoked, crl_bytes_max,
                                                                  "revocation lists");
    if (!lists) {
        return tl::unexpected(lists.error());
    }
    for (const auto& list : *lists) {
        const auto* const next = X509_CRL_get0_nextUpdate(list.get());
        if (next != nullptr && X509_cmp_current_time(next) < 0) {
            log_event(LogLevel::warning, "tls.crl_expired",
                      {{"file", files.revoked.string()},
                       {"effect", "nobody is let in until it is renewed"}});
        }
        if (X509_STORE_add_crl(store, list.get()) != 1) {
            return fail(Errc::failed, "read " + files.revoked.string() + ": not usable");
        }
    }
    // Each certificate of a chain is looked up, so that a revoked intermediate ends its subtree.
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return {};
}

Result<> load_store(const TlsFiles& files, Loaded& loaded) {
    const auto roots = read_all<CertificateHandle, PEM_read_bio_X509>(
        files.authority, pem_bytes_max, "certificates");
    if (!roots) {
        return tl::unexpected(roots.error());
    }
    const ClearErrors clear;
    loaded.store.reset(X509_STORE_new());
    for (const auto& root : *roots) {
        if (!loaded.store || X509_STORE_add_cert(loaded.store.get(), root.get()) != 1) {
            return fail(Errc::failed, "read " + files.authority.string() + ": not usable");
        }
    }
    return files.revoked.empty() ? Result<>{} : add_revocation_lists(files, loaded.store.get());
}

Result<> use(SSL_CTX* context, const Loaded& loaded) {
    const ClearErrors clear;
    bool good = SSL_CTX_use_certificate(context, loaded.certificate.get()) == 1 &&
                SSL_CTX_use_PrivateKey(context, loaded.key.get()) == 1;
    SSL_CTX_clear_chain_certs(context);
    for (const auto& one : loaded.intermediates) {
        good = good && SSL_CTX_add1_chain_cert(context, one.get()) == 1;
    }
    if (!good) {
        return fail(Errc::failed, "the certificate of " + loaded.identity.text() +
                                      " cannot be used: its key is of a kind or size that TLS 1.3 "
                                      "does not take");
    }
    // Only peers' chains are built from the store: ours is sent as its file says.
    SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set1_cert_store(context, loaded.store.get());
    return {};
}

Result<std::shared_ptr<const Loaded>> load_files(const TlsFiles& files) {
    auto loaded = std::make_shared<Loaded>();
    return load_certificate(files, *loaded)
        .and_then([&] { return load_store(files, *loaded); })
        .and_then([&] {
            loaded->server = {SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
            check_clients(loaded->server.get());
            return use(loaded->server.get(), *loaded);
        })
        .map([&] { return std::shared_ptr<const Loaded>(loaded); });
}

} // namespace

Result<std::shared_ptr<Credentials>> Credentials::load(TlsFiles files) {
    if (!files.given()) {
        return fail(Errc::usage, "--tls-cert, --tls-key and --tls-ca are needed");
    }
    if (auto complete = check_complete(files); !complete) {
        return tl::unexpected(complete.error());
    }
    std::shared_ptr<Credentials> credentials(new Credentials(std::move(files)));
    credentials->seen_ = stamps_of(credentials->files_);
    return load_files(credentials->files_).map([&](std::shared_ptr<const Loaded> loaded) {
        credentials->loaded_ = std::move(loaded);
        return std::move(credentials);
    });
}

Credentials::~Credentials() = default;

std::shared_ptr<const Credentials::Loaded> Credentials::current() {
    const std::scoped_lock lock(mutex_);
    const auto before = stamps_of(files_);
    if (before == seen_) {
        return loaded_;
    }
    auto loaded = load_files(files_);
    // A file that changed while it was read is looked at again next time.
    seen_ = stamps_of(files_) == before ? before : FileStamps{};
    if (loaded) {
        loaded_ = std::move(*loaded);
        log_event(LogLevel::info, "tls.reloaded", {{"identity", loaded_->identity.text()}});
    } else {
        log_event(
            LogLevel::warning, "tls.reload_failed",
            {{"why", describe(loaded.error())}, {"effect", "the files loaded before stay in use"}});
    }
    return loaded_;
}

Identity Credentials::self() {
    return current()->identity;
}

std::shared_ptr<ssl_ctx_st> Credentials::server_context() {
    return current()->server;
}

Result<> Credentials::prepare(ssl_ctx_st* context, std::string& refusal) {
    const auto loaded = current();
    check_server(context);
    report_refusals_to(context, &refusal);
    return use(context, *loaded);
}

} // namespace slipway::tls
