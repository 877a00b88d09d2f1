#pragma once

// Owners for OpenSSL's objects. Included by .cpp files only.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/core/bytes.h"

namespace slipway::tls {

template <auto free_function>
struct FreeWith {
    template <typename T>
    void operator()(T* object) const {
        free_function(object);
    }
};
using CertificateHandle = std::unique_ptr<X509, FreeWith<X509_free>>;
using CrlHandle = std::unique_ptr<X509_CRL, FreeWith<X509_CRL_free>>;
using KeyHandle = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using StoreHandle = std::unique_ptr<X509_STORE, FreeWith<X509_STORE_free>>;
using BioHandle = std::unique_ptr<BIO, FreeWith<BIO_free>>;
using NumberHandle = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;
using IntegerHandle = std::unique_ptr<ASN1_INTEGER, FreeWith<ASN1_INTEGER_free>>;
using TimeHandle = std::unique_ptr<ASN1_TIME, FreeWith<ASN1_TIME_free>>;
using NamesHandle = std::unique_ptr<GENERAL_NAMES, FreeWith<GENERAL_NAMES_free>>;

/// OpenSSL queues what went wrong in the thread; what is left behind would be read as the cause of
/// another failure later.
struct ClearErrors {
    ClearErrors() { ERR_clear_error(); }
    ~ClearErrors() { ERR_clear_error(); }
    ClearErrors(const ClearErrors&) = delete;
    ClearErrors& operator=(const ClearErrors&) = delete;
};

inline BioHandle bio_over(ByteSpan bytes) {
    return BioHandle(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

inline std::string contents_of(BIO* bio) {
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio, &data);
    return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

/// A passphrase prompt on the terminal of a daemon would hang it: an encrypted file is an error.
inline int no_passphrase(char* /*out*/, int /*size*/, int /*for_writing*/, void* /*context*/) {
    return -1;
}

} // namespace slipway::tls
