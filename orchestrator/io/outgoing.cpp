#include "orchestrator/io/outgoing.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include "common/core/errc.h"
#include "common/io/file_ops.h"

namespace slipway::orchestrator {
namespace {

class TrustedFile final : public HttpTls {
public:
    explicit TrustedFile(std::string file) : file_(std::move(file)) {}
    Result<> prepare(ssl_ctx_st* context, std::string& refusal) override {
        if (SSL_CTX_load_verify_locations(context, file_.c_str(), nullptr) != 1) {
            refusal = "no certificates in " + file_;
            return fail(Errc::usage, refusal);
        }
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
        return {};
    }

private:
    std::string file_;
};

Result<std::string> key_of(std::string_view secret) {
    constexpr std::string_view prefix = "whsec_";
    if (!secret.starts_with(prefix)) {
        return std::string(secret);
    }
    const auto text = secret.substr(prefix.size());
    std::string key(text.size() / 4 * 3 + 3, '\0');
    const auto length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(key.data()),
                                        reinterpret_cast<const unsigned char*>(text.data()),
                                        static_cast<int>(text.size()));
    if (length < 0 || text.empty()) {
        return fail(Errc::usage, "a secret that begins with whsec_ goes on in base64");
    }
    // EVP_DecodeBlock counts the zero bytes that padding stands for.
    const auto padding = std::count(text.end() - 2, text.end(), '=');
    key.resize(static_cast<std::size_t>(length - padding));
    return key;
}

} // namespace

Result<std::string> read_secret(const std::filesystem::path& file) {
    auto fd = open_file(file, O_RDONLY | O_NONBLOCK);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    struct stat info{};
    if (::fstat(fd->get(), &info) != 0) {
        return fail_errno("stat " + file.string());
    }
    constexpr off_t bytes_max = 4096;
    if (!S_ISREG(info.st_mode) || info.st_size > bytes_max || (info.st_mode & S_IROTH) != 0) {
        return fail(Errc::usage, file.string() +
                                     ": a secret's file is regular, at most 4 KiB, and not readable"
                                     " for others (chmod o-r)");
    }
    Bytes bytes(static_cast<std::size_t>(info.st_size));
    if (auto read = pread_all(fd->get(), bytes, 0, file); !read) {
        return tl::unexpected(read.error());
    }
    std::string secret(as_text(bytes));
    while (secret.ends_with('\n') || secret.ends_with('\r')) {
        secret.pop_back();
    }
    if (secret.empty() || std::any_of(secret.begin(), secret.end(),
                                      [](char byte) { return byte < ' ' || byte > '~'; })) {
        return fail(Errc::usage, file.string() + ": one line of printable ASCII is expected");
    }
    return secret;
}

Result<HttpClient> make_outgoing_client(const std::filesystem::path& ca_file) {
    if (ca_file.empty()) {
        return HttpClient();
    }
    auto tls = std::make_shared<TrustedFile>(ca_file.string());
    SSL_CTX* probe = SSL_CTX_new(TLS_client_method());
    std::string refusal;
    auto prepared = tls->prepare(probe, refusal);
    SSL_CTX_free(probe);
    if (!prepared) {
        return tl::unexpected(prepared.error());
    }
    return HttpClient(std::move(tls));
}

Result<std::vector<std::string>> sign_headers(const std::string& id, std::int64_t at_unix_s,
                                              std::string_view body, std::string_view secret) {
    auto key = key_of(secret);
    if (!key) {
        return tl::unexpected(key.error());
    }
    const auto time = std::to_string(at_unix_s);
    const auto text = id + "." + time + "." + std::string(body);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    if (HMAC(EVP_sha256(), key->data(), static_cast<int>(key->size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
             &length) == nullptr) {
        return fail(Errc::failed, "sign a webhook");
    }
    std::array<unsigned char, 64> base64{};
    const auto size = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(length));
    return std::vector<std::string>{"webhook-id: " + id, "webhook-timestamp: " + time,
                                    "webhook-signature: v1," +
                                        std::string(base64.begin(), base64.begin() + size)};
}

bool wait_for(std::chrono::milliseconds delay, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, delay, [] { return false; });
    return !stop.stop_requested();
}

} // namespace slipway::orchestrator
