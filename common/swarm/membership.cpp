#include "common/swarm/membership.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>
#include <string_view>

#include "common/core/errc.h"
#include "common/tls/openssl.h"

namespace slipway::swarm {
namespace {

// A fleet rotates from one authority to the next; more at a time is a mistake.
constexpr std::size_t authorities_max = 8;
constexpr std::size_t certificates_max = 32;
constexpr std::size_t pem_bytes_max = 64ULL * 1024 * 1024; // A revocation list of a large fleet.

using Certificate = std::shared_ptr<X509>;
using Key = std::shared_ptr<EVP_PKEY>;
using RevocationList = std::shared_ptr<X509_CRL>;

tl::unexpected<Error> refuse(std::string why) {
    ERR_clear_error();
    return fail(Errc::usage, std::move(why));
}

// All objects of one kind in a PEM text; text between them is skipped, as everywhere.
template <typename T, typename Read, typename Free>
Result<std::vector<std::shared_ptr<T>>> read_pem(const std::string& text, std::string_view what,
                                                 std::size_t count_max, Read read, Free free) {
    std::vector<std::shared_ptr<T>> found;
    if (text.size() > pem_bytes_max) {
        return refuse(std::string(what) + ": more than 64 MiB");
    }
    const auto bio = tls::bio_over(as_bytes(text));
    while (T* one = read(bio.get(), nullptr, nullptr, nullptr)) {
        found.emplace_back(one, free);
        if (found.size() > count_max) {
            return refuse(std::string(what) + ": more than " + std::to_string(count_max));
        }
    }
    const auto error = ERR_peek_last_error();
    if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
        return refuse(std::string(what) + ": malformed PEM after " + std::to_string(found.size()) +
                      " good ones");
    }
    ERR_clear_error();
    return found;
}

// The PEM blocks of private keys. OpenSSL 3.0's reader of keys may swallow what follows the first.
std::vector<std::string> key_blocks(const std::string& text) {
    static constexpr std::string_view begin = "-----BEGIN ";
    static constexpr std::string_view end = "PRIVATE KEY-----";
    std::vector<std::string> blocks;
    for (auto at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
        const auto label = text.substr(at, text.find('\n', at) - at);
        const auto last = text.find("-----END ", at);
        const auto after = text.find(end, last);
        if (label.find(end) != std::string::npos && after != std::string::npos) {
            blocks.push_back(text.substr(at, after + end.size() - at) + "\n");
        }
    }
    return blocks;
}

Result<std::vector<Key>> read_keys(const std::string& text) {
    std::vector<Key> keys;
    for (const auto& block : key_blocks(text)) {
        const auto bio = tls::bio_over(as_bytes(block));
        Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, tls::no_passphrase, nullptr),
                EVP_PKEY_free);
        if (!key || keys.size() >= certificates_max) {
            return refuse("private keys for swarms: key " + std::to_string(keys.size() + 1) +
                          " is malformed, needs a passphrase or is one too many");
        }
        keys.push_back(std::move(key));
    }
    return keys;
}

std::string pem_of(X509& certificate) {
    const tls::BioHandle bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), &certificate);
    return tls::contents_of(bio.get());
}

Sha256Digest digest_of(const X509& certificate) {
    Sha256Digest digest;
    unsigned size = 0;
    X509_digest(&certificate, EVP_sha256(), digest.bytes.data(), &size);
    return digest;
}

bool signed_by(X509& certificate, X509& authority) {
    const bool is = X509_check_issued(&authority, &certificate) == X509_V_OK &&
                    X509_verify(&certificate, X509_get0_pubkey(&authority)) == 1;
    ERR_clear_error();
    return is;
}

std::string serial_of(const ASN1_INTEGER& serial) {
    const tls::NumberHandle number(ASN1_INTEGER_to_BN(&serial, nullptr));
    const std::unique_ptr<char, void (*)(char*)> text(BN_bn2hex(number.get()),
                                                      [](char* owned) { OPENSSL_free(owned); });
    return text.get();
}

std::string date_of(const ASN1_TIME& time) {
    const tls::BioHandle bio(BIO_new(BIO_s_mem()));
    ASN1_TIME_print(bio.get(), &time);
    return tls::contents_of(bio.get());
}

// <0: the date is before `now`.
int compare(const ASN1_TIME& date, WallTime now) {
    return ASN1_TIME_cmp_time_t(&date, std::chrono::system_clock::to_time_t(now));
}

WallTime time_of(const ASN1_TIME& time) {
    std::tm parts{};
    ASN1_TIME_to_tm(&time, &parts);
    return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

Result<> check_authority(X509& authority) {
    const auto name = describe_certificate(authority);
    if (X509_check_ca(&authority) != 1) {
        return refuse("authority " + name + ": not an authority (basicConstraints CA:TRUE)");
    }
    if (!signed_by(authority, authority)) {
        return refuse("authority " + name +
                      ": not self-signed; swarms need the root that signs hosts directly");
    }
    return {};
}

// An extended key usage limits what a certificate is for; none limits nothing.
bool fits_both_ends(X509& certificate) {
    constexpr std::uint32_t both = XKU_SSL_SERVER | XKU_SSL_CLIENT;
    return (X509_get_extension_flags(&certificate) & EXFLAG_XKUSAGE) == 0 ||
           (X509_get_extended_key_usage(&certificate) & both) == both;
}

Result<> check_host(X509& certificate, WallTime now) {
    const auto name = "certificate " + describe_certificate(certificate);
    if (compare(*X509_get0_notBefore(&certificate), now) > 0) {
        return refuse(name + ": valid from " + date_of(*X509_get0_notBefore(&certificate)) +
                      " on; look at this host's clock");
    }
    if (compare(*X509_get0_notAfter(&certificate), now) < 0) {
        return refuse(name + ": expired on " + date_of(*X509_get0_notAfter(&certificate)));
    }
    if (!names_every_swarm(certificate)) {
        return refuse(name + ": no subjectAltName DNS:*, which every member of swarms needs");
    }
    if (!fits_both_ends(certificate)) {
        return refuse(name + ": extendedKeyUsage must be absent, or serverAuth and clientAuth");
    }
    return {};
}

// Chains are of no use: libtorrent verifies a peer against the authority in the metainfo only.
tl::unexpected<Error> refuse_unsigned(X509& certificate,
                                      const std::vector<Certificate>& certificates) {
    const auto name = "certificate " + describe_certificate(certificate);
    for (const auto& other : certificates) {
        if (other.get() != &certificate && signed_by(certificate, *other)) {
            return refuse(name + ": signed by the intermediate " + describe_certificate(*other) +
                          "; swarms take no chains, so have it signed by the authority itself");
        }
    }
    return refuse(name + ": not signed by any of the authorities given");
}

void add_revocations(Membership& membership, X509_CRL& list) {
    auto* const entries = X509_CRL_get_REVOKED(&list);
    for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
        auto* const entry = sk_X509_REVOKED_value(entries, i);
        X509_REVOKED* found = nullptr;
        constexpr int removed_from_list = 2; // X509_CRL_get0_by_serial(3)
        auto* const serial = const_cast<ASN1_INTEGER*>(X509_REVOKED_get0_serialNumber(entry));
        if (X509_CRL_get0_by_serial(&list, &found, serial) != removed_from_list) {
            membership.revoked.insert(serial_of(*serial));
        }
    }
}

struct Parsed {
    std::vector<Certificate> certificates;
    std::vector<Certificate> authorities;
    std::vector<RevocationList> lists;
    std::vector<Key> keys;
};

Key key_of(X509& certificate, const std::vector<Key>& keys) {
    const auto found = std::ranges::find_if(
        keys, [&](const Key& key) { return X509_check_private_key(&certificate, key.get()) == 1; });
    ERR_clear_error();
    return found == keys.end() ? nullptr : *found;
}

Result<Parsed> parse(const TlsMaterial& material) {
    auto certificates = read_pem<X509>(material.certificates, "certificates for swarms",
                                       certificates_max, PEM_read_bio_X509, X509_free);
    if (!certificates) {
        return tl::unexpected(std::move(certificates.error()));
    }
    auto authorities = read_pem<X509>(material.authorities, "authorities of swarms",
                                      authorities_max, PEM_read_bio_X509, X509_free);
    if (!authorities) {
        return tl::unexpected(std::move(authorities.error()));
    }
    auto lists = read_pem<X509_CRL>(material.revocations, "revocation lists", certificates_max,
                                    PEM_read_bio_X509_CRL, X509_CRL_free);
    if (!lists) {
        return tl::unexpected(std::move(lists.error()));
    }
    auto keys = read_keys(material.keys);
    if (!keys) {
        return tl::unexpected(std::move(keys.error()));
    }
    if (certificates->empty() || authorities->empty()) {
        return refuse("swarms need a certificate of this host and one of an authority");
    }
    auto& own = *certificates->front();
    if (!key_of(own, *keys)) {
        return refuse("certificate " + describe_certificate(own) +
                      ": belongs to another private key than those given");
    }
    return Parsed{std::move(*certificates), std::move(*authorities), std::move(*lists),
                  std::move(*keys)};
}

// The host's certificate for this authority; the first one in the file wins. One without a key
// is an intermediate.
Certificate find_signed(const Parsed& parsed, X509& authority) {
    const auto found = std::ranges::find_if(parsed.certificates, [&](const Certificate& one) {
        return key_of(*one, parsed.keys) && signed_by(*one, authority);
    });
    return found == parsed.certificates.end() ? nullptr : *found;
}

Result<> take_list(X509_CRL& list, const std::vector<std::shared_ptr<Membership>>& memberships,
                   const std::vector<Certificate>& authorities) {
    const auto is_signer = [&](const Certificate& authority) {
        const bool is = X509_NAME_cmp(X509_CRL_get_issuer(&list),
                                      X509_get_subject_name(authority.get())) == 0 &&
                        X509_CRL_verify(&list, X509_get0_pubkey(authority.get())) == 1;
        ERR_clear_error();
        return is;
    };
    const auto signer = std::ranges::find_if(authorities, is_signer);
    if (signer == authorities.end()) {
        return refuse("revocation list: not signed by any of the authorities given");
    }
    for (const auto& membership : memberships) {
        if (membership->authority_certificate == *signer) {
            add_revocations(*membership, list);
            const auto* const next = X509_CRL_get0_nextUpdate(&list);
            const auto due = next == nullptr ? WallTime::max() : time_of(*next);
            membership->revocations_due =
                std::max(membership->revocations_due.value_or(WallTime::min()), due);
        }
    }
    return {};
}

Result<> take_lists(const Parsed& parsed, WallTime now,
                    const std::vector<std::shared_ptr<Membership>>& memberships,
                    std::vector<std::string>& warnings) {
    for (const auto& list : parsed.lists) {
        if (auto taken = take_list(*list, memberships, parsed.authorities); !taken) {
            return taken;
        }
    }
    for (const auto& membership : memberships) {
        if (!parsed.lists.empty() && membership->revocations_due.value_or(WallTime::min()) < now) {
            membership->revocations_due = membership->revocations_due.value_or(WallTime::min());
            warnings.push_back("authority " +
                               describe_certificate(*membership->authority_certificate) +
                               ": its revocation list is missing or past its date, so no peer is "
                               "let into its swarms until there is a new one");
        }
    }
    return {};
}

} // namespace

bool names_every_swarm(const X509& certificate) {
    const tls::NamesHandle names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const auto* const name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type == GEN_DNS && ASN1_STRING_length(name->d.dNSName) == 1 &&
            *ASN1_STRING_get0_data(name->d.dNSName) == '*') {
            return true;
        }
    }
    return false;
}

bool is_revoked(const Membership& membership, const X509& certificate) {
    return membership.revoked.contains(serial_of(*X509_get0_serialNumber(&certificate)));
}

std::string describe_certificate(const X509& certificate) {
    const tls::BioHandle bio(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(bio.get(), X509_get_subject_name(&certificate), 0, XN_FLAG_RFC2253);
    return printable(tls::contents_of(bio.get())) + " (serial " +
           serial_of(*X509_get0_serialNumber(&certificate)) + ")";
}

Result<Memberships> parse_memberships(const TlsMaterial& material, WallTime now) {
    const auto parsed = parse(material);
    if (!parsed) {
        return tl::unexpected(parsed.error());
    }
    Memberships result;
    std::vector<std::shared_ptr<Membership>> found;
    for (const auto& authority : parsed->authorities) {
        if (auto right = check_authority(*authority); !right) {
            return tl::unexpected(std::move(right.error()));
        }
        const auto certificate = find_signed(*parsed, *authority);
        if (!certificate) {
            result.warnings.push_back("authority " + describe_certificate(*authority) +
                                      ": this host has no certificate of it and stays out of its "
                                      "swarms");
            continue;
        }
        if (auto right = check_host(*certificate, now); !right) {
            return tl::unexpected(std::move(right.error()));
        }
        found.push_back(std::make_shared<Membership>(Membership{digest_of(*authority),
                                                                pem_of(*authority),
                                                                authority,
                                                                certificate,
                                                                key_of(*certificate, parsed->keys),
                                                                {},
                                                                {}}));
    }
    const auto& own = parsed->certificates.front();
    const auto first = std::ranges::find_if(
        found, [&](const auto& membership) { return membership->certificate == own; });
    if (first == found.end()) {
        return refuse_unsigned(*own, parsed->certificates);
    }
    std::rotate(found.begin(), first, first + 1);
    if (auto taken = take_lists(*parsed, now, found, result.warnings); !taken) {
        return tl::unexpected(std::move(taken.error()));
    }
    result.all.assign(found.begin(), found.end());
    return result;
}

} // namespace slipway::swarm
