#pragma once

// Included by this room's .cpp files only.

#include <filesystem>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/tls/openssl.h"

namespace slipway::tls {

constexpr std::uint64_t pem_file_bytes_max = 1024ULL * 1024;
constexpr unsigned private_mode = 0600;
constexpr unsigned public_mode = 0644;

template <auto write, typename T>
Result<> save_pem(const std::filesystem::path& path, T* object, unsigned mode) {
    const ClearErrors clear;
    const BioHandle bio(BIO_new(BIO_s_secmem()));
    if (!bio || write(bio.get(), object) != 1) {
        return fail(Errc::failed, "encode " + path.string());
    }
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio.get(), &data);
    return replace_file(path, as_bytes({data, static_cast<std::size_t>(size)}), mode);
}

inline int write_key(BIO* bio, EVP_PKEY* key) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
}

inline Result<> save_certificate(const std::filesystem::path& path, X509* certificate) {
    return save_pem<PEM_write_bio_X509>(path, certificate, public_mode);
}

inline Result<> save_key(const std::filesystem::path& path, EVP_PKEY* key) {
    return save_pem<write_key>(path, key, private_mode);
}

inline Result<CertificateHandle> load_certificate(const std::filesystem::path& path) {
    return read_file(path, pem_file_bytes_max).and_then([&](const Bytes& text) {
        const ClearErrors clear;
        CertificateHandle certificate(
            PEM_read_bio_X509(bio_over(text).get(), nullptr, no_passphrase, nullptr));
        return certificate ? Result<CertificateHandle>(std::move(certificate))
                           : fail(Errc::failed, "read " + path.string() + ": no PEM certificate");
    });
}

inline Result<KeyHandle> load_key(const std::filesystem::path& path) {
    return read_file(path, pem_file_bytes_max).and_then([&](const Bytes& text) {
        const ClearErrors clear;
        KeyHandle key(
            PEM_read_bio_PrivateKey(bio_over(text).get(), nullptr, no_passphrase, nullptr));
        return key ? Result<KeyHandle>(std::move(key))
                   : fail(Errc::failed, "read " + path.string() + ": no PEM private key");
    });
}

} // namespace slipway::tls
