#include "common/tls/authority.h"

#include <array>
#include <system_error>

#include <openssl/rand.h>

#include "common/core/errc.h"
#include "common/core/sha256.h"
#include "common/tls/certificate_maker.h"
#include "common/tls/enrollment.h"
#include "common/tls/peer_check.h"
#include "common/tls/pem_files.h"

namespace slipway::tls {
namespace fs = std::filesystem;

struct Authority::State {
    fs::path directory;
    FileLock lock;
    Signer signer;
    IssuedIndex index;
};

namespace {

constexpr std::uint64_t index_bytes_max = 64ULL * 1024 * 1024;
constexpr std::uint64_t tokens_bytes_max = 8ULL * 1024 * 1024;
constexpr unsigned lock_patience_ms = 10'000;

Result<> save_list(const fs::path& directory, const Signer& signer, const IssuedIndex& index,
                   std::chrono::days valid, std::chrono::sys_seconds now) {
    return make_list(signer, index, valid, now).and_then([&](const CrlHandle& list) {
        return save_pem<PEM_write_bio_X509_CRL>(directory / "ca.crl", list.get(), public_mode);
    });
}

Result<> save_index(const fs::path& directory, const IssuedIndex& index) {
    const auto text = index.encode();
    return replace_file(directory / "issued.json", as_bytes(text), private_mode);
}

Result<> make_directory(const fs::path& directory, fs::perms mode) {
    std::error_code error;
    const bool made = fs::create_directories(directory, error);
    if (!error && made) {
        fs::permissions(directory, mode, error);
    }
    return error ? fail(error, "create " + directory.string()) : Result<>{};
}

Result<TokenIndex> load_tokens(const fs::path& directory) {
    const auto file = directory / "tokens.json";
    std::error_code error;
    if (!fs::exists(file, error)) {
        return TokenIndex{};
    }
    return read_file(file, tokens_bytes_max).and_then([&](const Bytes& text) {
        return TokenIndex::decode(text, file.string());
    });
}

Result<> save_tokens(const fs::path& directory, const TokenIndex& tokens) {
    const auto text = tokens.encode();
    return replace_file(directory / "tokens.json", as_bytes(text), private_mode);
}

Result<EnrollToken> random_token() {
    std::array<unsigned char, 40> random{};
    if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
        return fail(Errc::failed, "take random bytes");
    }
    const auto digits = to_hex(random);
    return EnrollToken{digits.substr(0, 16), digits.substr(16)};
}

Result<std::string> key_digest(EVP_PKEY* key) {
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key, &der);
    if (size <= 0) {
        return fail(Errc::failed, "encode a public key");
    }
    auto digest = sha256({der, static_cast<std::size_t>(size)}).hex();
    OPENSSL_free(der);
    return digest;
}

Result<std::string> pem_of(X509* certificate) {
    const BioHandle bio(BIO_new(BIO_s_mem()));
    if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1) {
        return fail(Errc::failed, "encode a certificate");
    }
    return contents_of(bio.get());
}

Result<> check_place(const fs::path& out, const Identity& identity) {
    std::error_code error;
    if (!fs::exists(out / "cert.pem", error)) {
        return {};
    }
    return load_certificate(out / "cert.pem").and_then([&](const CertificateHandle& there) {
        const auto whose = identity_of(there.get());
        if (whose && *whose == identity) {
            return Result<>{};
        }
        return Result<>(fail(Errc::failed, (out / "cert.pem").string() + " is the certificate of " +
                                               (whose ? whose->text() : "someone else") +
                                               "; choose another --out directory"));
    });
}

} // namespace

Authority::Authority(std::unique_ptr<State> state) : state_(std::move(state)) {}
Authority::~Authority() = default;
Authority::Authority(Authority&&) noexcept = default;

Result<> Authority::init(const fs::path& directory, const AuthorityRequest& request,
                         std::chrono::sys_seconds now) {
    if (auto made = make_directory(directory, fs::perms::owner_all); !made) {
        return made;
    }
    const auto lock = FileLock::acquire(directory / ".lock", "make an authority", lock_patience_ms);
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    // The certificate is written last: with it the authority exists.
    std::error_code error;
    if (fs::exists(directory / "ca.pem", error)) {
        return fail(Errc::failed, directory.string() + " has an authority already; its "
                                                       "certificates would be worth nothing under "
                                                       "a new one");
    }
    Signer signer;
    return generate_key(request.algorithm)
        .and_then([&](KeyHandle key) {
            signer.key = std::move(key);
            return make_authority_certificate(request, signer.key.get(), now);
        })
        .and_then([&](CertificateHandle certificate) {
            signer.certificate = std::move(certificate);
            return save_key(directory / "ca.key", signer.key.get());
        })
        .and_then([&] {
            const IssuedIndex first{.crl_number = 1, .certificates = {}};
            return save_index(directory, first).and_then([&] {
                return save_list(directory, signer, first, list_valid_by_default, now);
            });
        })
        .and_then([&] { return save_certificate(directory / "ca.pem", signer.certificate.get()); });
}

Result<Authority> Authority::open(const fs::path& directory) {
    std::error_code error;
    if (!fs::exists(directory / "ca.pem", error)) {
        return fail(Errc::not_found, "no authority in " + directory.string() +
                                         "; `slipway ca init --ca " + directory.string() +
                                         "` makes one");
    }
    auto lock = FileLock::acquire(directory / ".lock", "certificate authority", lock_patience_ms);
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    auto state = std::unique_ptr<State>(new State{directory, std::move(*lock), {}, {}});
    return load_certificate(directory / "ca.pem")
        .and_then([&](CertificateHandle certificate) {
            state->signer.certificate = std::move(certificate);
            return load_key(directory / "ca.key");
        })
        .and_then([&](KeyHandle key) {
            state->signer.key = std::move(key);
            return read_file(directory / "issued.json", index_bytes_max);
        })
        .and_then([&](const Bytes& text) {
            return IssuedIndex::decode(text, (directory / "issued.json").string());
        })
        .map([&](IssuedIndex index) {
            state->index = std::move(index);
            return Authority(std::move(state));
        });
}

Result<Issued> Authority::issue(const IssueRequest& request, std::chrono::sys_seconds now) {
    if (auto place = make_directory(request.out, fs::perms::owner_all).and_then([&] {
            return check_place(request.out, request.identity);
        });
        !place) {
        return tl::unexpected(place.error());
    }
    const auto key = generate_key(request.algorithm);
    if (!key) {
        return tl::unexpected(key.error());
    }
    const auto certificate = make_certificate(state_->signer, request, key->get(), now);
    if (!certificate) {
        return tl::unexpected(certificate.error());
    }
    Issued issued{serial_of(certificate->get()), request.identity, end_of(certificate->get()), {}};
    state_->index.certificates.push_back(issued);
    return save_index(state_->directory, state_->index)
        .and_then([&] { return save_key(request.out / "key.pem", key->get()); })
        .and_then([&] { return save_certificate(request.out / "cert.pem", certificate->get()); })
        .and_then([&] {
            return save_certificate(request.out / "ca.pem", state_->signer.certificate.get());
        })
        .map([&] { return std::move(issued); });
}

Result<std::vector<Issued>> Authority::revoke(const std::string& what, std::chrono::days list_valid,
                                              std::chrono::sys_seconds now) {
    return state_->index.revoke(what, now).and_then([&](std::vector<Issued> touched) {
        return renew_list(list_valid, now).map([&] { return std::move(touched); });
    });
}

Result<> Authority::renew_list(std::chrono::days list_valid, std::chrono::sys_seconds now) {
    ++state_->index.crl_number;
    return save_index(state_->directory, state_->index).and_then([&] {
        return save_list(state_->directory, state_->signer, state_->index, list_valid, now);
    });
}

Result<std::string> Authority::make_token(const Identity& identity,
                                          std::chrono::sys_seconds not_after,
                                          std::chrono::sys_seconds now) {
    auto tokens = load_tokens(state_->directory);
    const auto token = random_token();
    if (!tokens || !token) {
        return tl::unexpected(tokens ? token.error() : tokens.error());
    }
    return tokens->add({*token, identity, not_after, {}}, now)
        .and_then([&] { return save_tokens(state_->directory, *tokens); })
        .map([&] { return token->text(); });
}

Result<std::string> Authority::enroll(ByteSpan message, std::chrono::days valid,
                                      std::chrono::sys_seconds now) {
    const auto request = EnrollRequest::decode(message);
    auto tokens = load_tokens(state_->directory);
    if (!request || !tokens) {
        return tl::unexpected(request ? tokens.error() : request.error());
    }
    const auto token = tokens->find(request->token, now);
    if (!token) {
        return tl::unexpected(token.error());
    }
    if (auto made_with_it = check_mac(*token, *request); !made_with_it) {
        return tl::unexpected(made_with_it.error());
    }
    const auto key = key_of_request(request->csr);
    const auto digest = key ? key_digest(key->get()) : tl::unexpected(key.error());
    if (!digest) {
        return tl::unexpected(digest.error());
    }
    const auto identity = tokens->redeem(token->id, *digest, now);
    if (!identity) {
        return tl::unexpected(identity.error());
    }
    const IssueRequest wanted{.identity = *identity,
                              .dns_names = {},
                              .addresses = {},
                              .valid = valid,
                              .algorithm = KeyAlgorithm::p256,
                              .out = {}};
    const auto certificate = make_certificate(state_->signer, wanted, key->get(), now);
    if (!certificate) {
        return tl::unexpected(certificate.error());
    }
    state_->index.certificates.push_back(
        {serial_of(certificate->get()), *identity, end_of(certificate->get()), {}});
    return save_tokens(state_->directory, *tokens)
        .and_then([&] { return save_index(state_->directory, state_->index); })
        .and_then([&] { return pem_of(certificate->get()); })
        .and_then([&](const std::string& pem) {
            return pem_of(state_->signer.certificate.get()).map([&](const std::string& authority) {
                return make_enroll_reply(*token, request->mac, pem, authority).encode();
            });
        });
}

const std::vector<Issued>& Authority::issued() const {
    return state_->index.certificates;
}

} // namespace slipway::tls
