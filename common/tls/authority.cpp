#include "common/tls/authority.h"

#include <system_error>

#include "common/core/errc.h"
#include "common/tls/certificate_maker.h"
#include "common/tls/peer_check.h"

namespace slipway::tls {
namespace fs = std::filesystem;

struct Authority::State {
    fs::path directory;
    FileLock lock;
    Signer signer;
    IssuedIndex index;
};

namespace {

constexpr std::uint64_t pem_bytes_max = 1024ULL * 1024;
constexpr std::uint64_t index_bytes_max = 64ULL * 1024 * 1024;
constexpr unsigned lock_patience_ms = 10'000;
constexpr unsigned private_mode = 0600;
constexpr unsigned public_mode = 0644;

template <auto write, typename T>
Result<> save_pem(const fs::path& path, T* object, unsigned mode) {
    const ClearErrors clear;
    const BioHandle bio(BIO_new(BIO_s_secmem()));
    if (!bio || write(bio.get(), object) != 1) {
        return fail(Errc::failed, "encode " + path.string());
    }
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio.get(), &data);
    return replace_file(path, as_bytes({data, static_cast<std::size_t>(size)}), mode);
}

int write_key(BIO* bio, EVP_PKEY* key) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
}

Result<> save_certificate(const fs::path& path, X509* certificate) {
    return save_pem<PEM_write_bio_X509>(path, certificate, public_mode);
}

Result<> save_key(const fs::path& path, EVP_PKEY* key) {
    return save_pem<write_key>(path, key, private_mode);
}

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

Result<CertificateHandle> load_certificate(const fs::path& path) {
    return read_file(path, pem_bytes_max).and_then([&](const Bytes& text) {
        const ClearErrors clear;
        CertificateHandle certificate(
            PEM_read_bio_X509(bio_over(text).get(), nullptr, no_passphrase, nullptr));
        return certificate ? Result<CertificateHandle>(std::move(certificate))
                           : fail(Errc::failed, "read " + path.string() + ": no PEM certificate");
    });
}

Result<KeyHandle> load_key(const fs::path& path) {
    return read_file(path, pem_bytes_max).and_then([&](const Bytes& text) {
        const ClearErrors clear;
        KeyHandle key(
            PEM_read_bio_PrivateKey(bio_over(text).get(), nullptr, no_passphrase, nullptr));
        return key ? Result<KeyHandle>(std::move(key))
                   : fail(Errc::failed, "read " + path.string() + ": no PEM private key");
    });
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

const std::vector<Issued>& Authority::issued() const {
    return state_->index.certificates;
}

} // namespace slipway::tls
