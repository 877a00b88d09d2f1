#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace slipway::fakes {

/// What a certificate of TestAuthority is to be like; by default right for swarms.
struct CertificateSpec {
    std::string name = "host";
    std::vector<std::string> alternative_names = {"DNS:*", "IP:127.0.0.1"};
    std::string usage = "serverAuth,clientAuth"; ///< Empty: no such extension.
    std::chrono::hours from{-1};                 ///< From now.
    std::chrono::hours until{24};
    bool authority = false;
};

/// A certificate authority in memory: P-256 keys, real signatures.
class TestAuthority {
public:
    explicit TestAuthority(const std::string& name = "test fleet")
        : key_(make_key()), certificate_(make(*this, authority_spec(name), *key_)) {}
    /// An intermediate.
    TestAuthority(const std::string& name, const TestAuthority& parent)
        : key_(make_key()), certificate_(make(parent, authority_spec(name), *key_)) {}

    using Key = std::shared_ptr<EVP_PKEY>;
    using Certificate = std::shared_ptr<X509>;

    [[nodiscard]] static Key make_key() { return Key(EVP_EC_gen("P-256"), EVP_PKEY_free); }
    [[nodiscard]] Certificate issue(const Key& key, const CertificateSpec& spec = {}) const {
        return make(*this, spec, *key);
    }
    [[nodiscard]] std::string pem() const { return pem(*certificate_); }

    /// A revocation list; due again `next` from now.
    [[nodiscard]] std::string revoke(const std::vector<Certificate>& certificates,
                                     std::chrono::hours next = std::chrono::hours{24}) const {
        const std::unique_ptr<X509_CRL, void (*)(X509_CRL*)> list(X509_CRL_new(), X509_CRL_free);
        X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
        X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(certificate_.get()));
        const auto now = time(std::chrono::hours{-48});
        X509_CRL_set1_lastUpdate(list.get(), now.get());
        X509_CRL_set1_nextUpdate(list.get(), time(next).get());
        for (const auto& certificate : certificates) {
            auto* const entry = X509_REVOKED_new();
            X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate.get()));
            X509_REVOKED_set_revocationDate(entry, now.get());
            X509_CRL_add0_revoked(list.get(), entry);
        }
        X509_CRL_sort(list.get());
        X509_CRL_sign(list.get(), key_.get(), EVP_sha256());
        return to_pem([&](BIO* bio) { PEM_write_bio_X509_CRL(bio, list.get()); });
    }

    [[nodiscard]] static std::string pem(X509& certificate) {
        return to_pem([&](BIO* bio) { PEM_write_bio_X509(bio, &certificate); });
    }
    [[nodiscard]] static std::string pem(EVP_PKEY& key) {
        return to_pem([&](BIO* bio) {
            PEM_write_bio_PrivateKey(bio, &key, nullptr, nullptr, 0, nullptr, nullptr);
        });
    }

private:
    [[nodiscard]] static CertificateSpec authority_spec(const std::string& name) {
        return {.name = name, .alternative_names = {}, .usage = "", .authority = true};
    }
    template <typename Write>
    static std::string to_pem(Write write) {
        const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
        write(bio.get());
        char* data = nullptr;
        const auto size = BIO_get_mem_data(bio.get(), &data);
        return {data, static_cast<std::size_t>(size)};
    }
    static std::shared_ptr<ASN1_TIME> time(std::chrono::hours from_now) {
        return {X509_gmtime_adj(nullptr, std::chrono::seconds(from_now).count()), ASN1_TIME_free};
    }
    static void extend(X509& certificate, X509& issuer, int kind, const std::string& value) {
        X509V3_CTX context;
        X509V3_set_ctx(&context, &issuer, &certificate, nullptr, nullptr, 0);
        auto* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
        X509_add_ext(&certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }
    // Without a certificate of its own yet, the issuer signs itself.
    static Certificate make(const TestAuthority& issuer, const CertificateSpec& spec,
                            EVP_PKEY& key) {
        Certificate made(X509_new(), X509_free);
        X509_set_version(made.get(), X509_VERSION_3);
        static long serial = 0x1000;
        ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
        X509_set1_notBefore(made.get(), time(spec.from).get());
        X509_set1_notAfter(made.get(), time(spec.until).get());
        X509_set_pubkey(made.get(), &key);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(spec.name.c_str()), -1,
                                   -1, 0);
        auto& parent = issuer.certificate_ ? *issuer.certificate_ : *made;
        X509_set_issuer_name(made.get(), X509_get_subject_name(&parent));
        extend(*made, parent, NID_basic_constraints,
               spec.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
        if (spec.authority) {
            extend(*made, parent, NID_key_usage, "critical,keyCertSign,cRLSign");
        }
        extend(*made, parent, NID_subject_key_identifier, "hash");
        std::string names;
        for (const auto& name : spec.alternative_names) {
            names += (names.empty() ? "" : ",") + name;
        }
        if (!names.empty()) {
            extend(*made, parent, NID_subject_alt_name, names);
        }
        if (!spec.usage.empty()) {
            extend(*made, parent, NID_ext_key_usage, spec.usage);
        }
        X509_sign(made.get(), issuer.key_.get(), EVP_sha256());
        return made;
    }

    Key key_;
    Certificate certificate_;
};

/// A host with its certificates: what swarm::TlsMaterial wants.
struct TestHost {
    explicit TestHost(const TestAuthority& authority, const CertificateSpec& spec = {})
        : certificate(authority.issue(key, spec)), certificates(TestAuthority::pem(*certificate)),
          authorities(authority.pem()) {}
    TestAuthority::Key key = TestAuthority::make_key();
    TestAuthority::Certificate certificate;
    std::string certificates;
    std::string authorities;
};

} // namespace slipway::fakes
