#include "common/tls/certificate_maker.h"

#include <algorithm>
#include <array>
#include <ctime>

#include <openssl/rand.h>

#include "common/core/errc.h"

namespace slipway::tls {
namespace {

constexpr std::size_t common_name_bytes_max = 64; // RFC 5280, appendix A.1: ub-common-name.
constexpr std::size_t serial_bytes = 16;

tl::unexpected<Error> openssl_failed(const std::string& what) {
    std::array<char, 256> text{};
    ERR_error_string_n(ERR_peek_error(), text.data(), text.size());
    return fail(Errc::failed, what + ": " + text.data());
}

const EVP_MD* digest_for(const EVP_PKEY* key) {
    return EVP_PKEY_is_a(key, "ED25519") == 1 ? nullptr : EVP_sha256();
}

TimeHandle asn1_time(std::chrono::sys_seconds time) {
    return TimeHandle(ASN1_TIME_set(nullptr, std::chrono::system_clock::to_time_t(time)));
}

bool set_serial(X509* certificate) {
    std::array<std::uint8_t, serial_bytes> random{};
    if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
        return false;
    }
    random.front() = static_cast<std::uint8_t>((random.front() & 0x7fU) | 0x40U);
    const NumberHandle number(BN_bin2bn(random.data(), static_cast<int>(random.size()), nullptr));
    return number &&
           BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_validity(X509* certificate, std::chrono::sys_seconds from, std::chrono::sys_seconds to) {
    const auto begin = asn1_time(from);
    const auto end = asn1_time(to);
    return begin && end && X509_set1_notBefore(certificate, begin.get()) == 1 &&
           X509_set1_notAfter(certificate, end.get()) == 1;
}

bool add_name(X509_NAME* name, const char* field, const std::string& value) {
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
    X509V3_CTX context{};
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, value));
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool push_text(GENERAL_NAMES* names, int kind, const std::string& text) {
    auto* const value = ASN1_IA5STRING_new();
    auto* const name = GENERAL_NAME_new();
    ASN1_STRING_set(value, text.data(), static_cast<int>(text.size()));
    GENERAL_NAME_set0_value(name, kind, value);
    return sk_GENERAL_NAME_push(names, name) > 0;
}

Result<> push_address(GENERAL_NAMES* names, const std::string& text) {
    auto* const value = a2i_IPADDRESS(text.c_str());
    if (value == nullptr) {
        return fail(Errc::usage, "--ip '" + text.substr(0, 100) + "' is not an IP address");
    }
    auto* const name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, GEN_IPADD, value);
    sk_GENERAL_NAME_push(names, name);
    return {};
}

bool is_dns_name(std::string_view name) {
    return !name.empty() && name.size() <= 253 && name.find("..") == std::string_view::npos &&
           std::ranges::all_of(name, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '-' || c == '_' || c == '*';
           });
}

// libtorrent takes a peer into an SSL torrent if its certificate has the torrent's name or "*".
// For HTTPS "*" alone matches no host (RFC 6125, 6.4.3; OpenSSL and libcurl agree).
bool shares_packs(Role role) {
    return role == Role::agent || role == Role::seeder;
}

Result<NamesHandle> alternative_names(const IssueRequest& request) {
    NamesHandle names(sk_GENERAL_NAME_new_null());
    push_text(names.get(), GEN_URI, request.identity.uri());
    if (shares_packs(request.identity.role)) {
        push_text(names.get(), GEN_DNS, "*");
    }
    for (const auto& name : request.dns_names) {
        if (!is_dns_name(name)) {
            return fail(Errc::usage, "--dns '" + name.substr(0, 100) + "' is not a DNS name");
        }
        push_text(names.get(), GEN_DNS, name);
    }
    for (const auto& address : request.addresses) {
        if (auto pushed = push_address(names.get(), address); !pushed) {
            return tl::unexpected(pushed.error());
        }
    }
    return names;
}

bool sign(X509* certificate, EVP_PKEY* key) {
    return X509_sign(certificate, key, digest_for(key)) > 0;
}

bool add_revoked(X509_CRL* list, const Issued& one) {
    BIGNUM* number = nullptr;
    BN_hex2bn(&number, one.serial.c_str());
    const NumberHandle owned(number);
    const IntegerHandle serial(BN_to_ASN1_INTEGER(number, nullptr));
    const auto when = asn1_time(*one.revoked);
    auto* const entry = X509_REVOKED_new();
    return serial && when && X509_REVOKED_set_serialNumber(entry, serial.get()) == 1 &&
           X509_REVOKED_set_revocationDate(entry, when.get()) == 1 &&
           X509_CRL_add0_revoked(list, entry) == 1;
}

bool add_list_extensions(X509_CRL* list, X509* issuer, std::uint64_t number) {
    const IntegerHandle value(ASN1_INTEGER_new());
    X509V3_CTX context{};
    X509V3_set_ctx(&context, issuer, nullptr, nullptr, list, 0);
    const std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>> key_id(
        X509V3_EXT_conf_nid(nullptr, &context, NID_authority_key_identifier, "keyid:always"));
    return value && ASN1_INTEGER_set_uint64(value.get(), number) == 1 &&
           X509_CRL_add1_ext_i2d(list, NID_crl_number, value.get(), 0, 0) == 1 && key_id &&
           X509_CRL_add_ext(list, key_id.get(), -1) == 1;
}

} // namespace

Result<KeyHandle> generate_key(KeyAlgorithm algorithm) {
    const ClearErrors clear;
    KeyHandle key(algorithm == KeyAlgorithm::p256
                      ? EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")
                      : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    return key ? Result<KeyHandle>(std::move(key)) : openssl_failed("generate a key");
}

Result<CertificateHandle> make_authority_certificate(const AuthorityRequest& request, EVP_PKEY* key,
                                                     std::chrono::sys_seconds now) {
    if (request.name.empty() || request.name.size() > common_name_bytes_max) {
        return fail(Errc::usage, "--name of an authority has 1 to 64 bytes");
    }
    const ClearErrors clear;
    CertificateHandle made(X509_new());
    auto* const out = made.get();
    auto* const name = X509_get_subject_name(out);
    const bool good =
        X509_set_version(out, X509_VERSION_3) == 1 && set_serial(out) &&
        set_validity(out, now - backdated, now + request.valid) &&
        add_name(name, "CN", request.name) && X509_set_issuer_name(out, name) == 1 &&
        X509_set_pubkey(out, key) == 1 &&
        add_extension(out, out, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(out, out, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(out, out, NID_subject_key_identifier, "hash") && sign(out, key);
    return good ? Result<CertificateHandle>(std::move(made))
                : openssl_failed("make the authority's certificate");
}

Result<CertificateHandle> make_certificate(const Signer& signer, const IssueRequest& request,
                                           EVP_PKEY* key, std::chrono::sys_seconds now) {
    const ClearErrors clear;
    const auto names = alternative_names(request);
    if (!names) {
        return tl::unexpected(names.error());
    }
    CertificateHandle made(X509_new());
    auto* const out = made.get();
    auto* const issuer = signer.certificate.get();
    auto* const name = X509_get_subject_name(out);
    const auto end = std::min(now + request.valid, end_of(issuer));
    const bool good =
        X509_set_version(out, X509_VERSION_3) == 1 && set_serial(out) &&
        set_validity(out, now - backdated, end) &&
        add_name(name, "OU", std::string(to_string(request.identity.role))) &&
        add_name(name, "CN", request.identity.name.substr(0, common_name_bytes_max)) &&
        X509_set_issuer_name(out, X509_get_subject_name(issuer)) == 1 &&
        X509_set_pubkey(out, key) == 1 &&
        add_extension(out, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(out, issuer, NID_key_usage, "critical,digitalSignature") &&
        add_extension(out, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
        add_extension(out, issuer, NID_subject_key_identifier, "hash") &&
        add_extension(out, issuer, NID_authority_key_identifier, "keyid:always") &&
        X509_add1_ext_i2d(out, NID_subject_alt_name, names->get(), 0, X509V3_ADD_DEFAULT) == 1 &&
        sign(out, signer.key.get());
    return good ? Result<CertificateHandle>(std::move(made))
                : openssl_failed("make a certificate of " + request.identity.text());
}

Result<CrlHandle> make_list(const Signer& signer, const IssuedIndex& index, std::chrono::days valid,
                            std::chrono::sys_seconds now) {
    const ClearErrors clear;
    CrlHandle list(X509_CRL_new());
    const auto begin = asn1_time(now - backdated);
    const auto end = asn1_time(now + valid);
    bool good = list && begin && end && X509_CRL_set_version(list.get(), X509_CRL_VERSION_2) == 1 &&
                X509_CRL_set_issuer_name(list.get(),
                                         X509_get_subject_name(signer.certificate.get())) == 1 &&
                X509_CRL_set1_lastUpdate(list.get(), begin.get()) == 1 &&
                X509_CRL_set1_nextUpdate(list.get(), end.get()) == 1;
    for (const auto& one : index.certificates) {
        if (one.revoked && one.not_after > now) { // Expiry refuses the others.
            good = good && add_revoked(list.get(), one);
        }
    }
    good = good && add_list_extensions(list.get(), signer.certificate.get(), index.crl_number) &&
           X509_CRL_sort(list.get()) == 1 &&
           X509_CRL_sign(list.get(), signer.key.get(), digest_for(signer.key.get())) > 0;
    return good ? Result<CrlHandle>(std::move(list)) : openssl_failed("make a revocation list");
}

std::string serial_of(X509* certificate) {
    const NumberHandle number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
    const std::unique_ptr<char, void (*)(char*)> text(
        BN_bn2hex(number.get()), [](char* allocated) { OPENSSL_free(allocated); });
    std::string serial(text.get());
    std::ranges::transform(serial, serial.begin(), [](char c) {
        return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return serial;
}

std::chrono::sys_seconds end_of(X509* certificate) {
    std::tm parts{};
    ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts);
    return std::chrono::sys_seconds(std::chrono::seconds(::timegm(&parts)));
}

} // namespace slipway::tls
