#include "common/tls/certificate_request.h"

#include "common/tls/certificate_maker.h"
#include "common/tls/peer_check.h"
#include "common/tls/pem_files.h"

namespace slipway::tls {
namespace {

namespace fs = std::filesystem;

using RequestHandle = std::unique_ptr<X509_REQ, FreeWith<X509_REQ_free>>;

Result<KeyHandle> key_of(const fs::path& directory) {
    std::error_code error;
    const auto file = directory / "key.pem";
    if (fs::exists(file, error)) {
        return load_key(file);
    }
    return generate_key(KeyAlgorithm::p256).and_then([&](KeyHandle key) {
        return save_key(file, key.get()).map([&] { return std::move(key); });
    });
}

Result<CertificateHandle> parse_certificate(const std::string& pem, const char* what) {
    const ClearErrors clear;
    CertificateHandle certificate(
        PEM_read_bio_X509(bio_over(as_bytes(pem)).get(), nullptr, no_passphrase, nullptr));
    return certificate ? Result<CertificateHandle>(std::move(certificate))
                       : fail(Errc::verification_failed,
                              std::string("the answer's ") + what + " is no PEM certificate");
}

} // namespace

Result<std::string> make_certificate_request(const fs::path& directory) {
    std::error_code error;
    fs::create_directories(directory, error);
    if (error) {
        return fail(error, "create " + directory.string());
    }
    return key_of(directory).and_then([&](const KeyHandle& key) -> Result<std::string> {
        const ClearErrors clear;
        const RequestHandle request(X509_REQ_new());
        const BioHandle out(BIO_new(BIO_s_mem()));
        const auto* const digest =
            EVP_PKEY_is_a(key.get(), "ED25519") == 1 ? nullptr : EVP_sha256();
        // Its subject is empty: the token says whose it is.
        if (!request || !out || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
            X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
            X509_REQ_sign(request.get(), key.get(), digest) <= 0 ||
            PEM_write_bio_X509_REQ(out.get(), request.get()) != 1) {
            return fail(Errc::failed,
                        "make a certificate request with " + (directory / "key.pem").string());
        }
        return contents_of(out.get());
    });
}

Result<KeyHandle> key_of_request(const std::string& pem) {
    const ClearErrors clear;
    const RequestHandle request(
        PEM_read_bio_X509_REQ(bio_over(as_bytes(pem)).get(), nullptr, no_passphrase, nullptr));
    if (!request) {
        return fail(Errc::verification_failed, "the request is no PEM certificate request");
    }
    KeyHandle key(X509_REQ_get_pubkey(request.get()));
    const bool right_kind =
        key && (EVP_PKEY_is_a(key.get(), "ED25519") == 1 ||
                (EVP_PKEY_is_a(key.get(), "EC") == 1 && EVP_PKEY_get_bits(key.get()) == 256));
    if (!right_kind) {
        return fail(Errc::verification_failed, "the request's key must be P-256 or Ed25519");
    }
    if (X509_REQ_verify(request.get(), key.get()) != 1) {
        return fail(Errc::verification_failed, "the request is not signed with its key");
    }
    return key;
}

Result<Identity> accept_certificate(const fs::path& directory, const EnrollReply& reply) {
    auto certificate = parse_certificate(reply.certificate, "certificate");
    auto authority = parse_certificate(reply.authority, "authority");
    const auto key = load_key(directory / "key.pem");
    if (!certificate || !authority || !key) {
        return tl::unexpected(!certificate ? certificate.error()
                              : !authority ? authority.error()
                                           : key.error());
    }
    const ClearErrors clear;
    const KeyHandle signer(X509_get_pubkey(authority->get()));
    if (X509_check_private_key(certificate->get(), key->get()) != 1 || !signer ||
        X509_verify(certificate->get(), signer.get()) != 1) {
        return fail(Errc::verification_failed,
                    "the answer's certificate is not of this host's key by that authority");
    }
    auto identity = identity_of(certificate->get());
    if (!identity) {
        return identity;
    }
    return save_certificate(directory / "ca.pem", authority->get())
        .and_then([&] { return save_certificate(directory / "cert.pem", certificate->get()); })
        .map([&] { return *identity; });
}

} // namespace slipway::tls
