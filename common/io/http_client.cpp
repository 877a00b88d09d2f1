#include "common/io/http_client.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <string_view>
#include <utility>

#include <curl/curl.h>

#include "common/core/errc.h"

namespace slipway {
namespace {

// curl_global_init() is not thread-safe before 7.84 and must come first.
void init_curl_once() {
    static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    assert(code == CURLE_OK);
}

constexpr std::size_t refusal_text_bytes_max = 1024;

struct Transfer {
    const char* method = "GET";
    Bytes body;
    std::string refusal_text; ///< Of a 4xx status: the server's reason.
    std::uint64_t body_bytes_max = 0;
    bool too_long = false;
    bool range_ignored = false;
    CURL* handle = nullptr;
    bool range_asked = false;
    bool any_status = false;                 ///< The body is wanted whatever the status is.
    std::function<bool(ByteSpan)> on_part{}; ///< Takes a 2xx body instead of `body`.
    std::stop_token stop;
};

enum class Wanted { body, reason, nothing };

// Of a refusal its reason is of use, and a whole file where a range was asked for must not be read
// to its end.
Wanted wanted(Transfer& transfer) {
    long status = 0;
    curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
    transfer.range_ignored = transfer.range_asked && status == 200;
    if (status >= 400) {
        return Wanted::reason;
    }
    return status < 300 && !transfer.range_ignored ? Wanted::body : Wanted::nothing; // 0: file://
}

bool has_good_status(const Transfer& transfer) {
    long status = 0;
    curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

std::size_t take_reason(Transfer& transfer, std::string_view text) {
    transfer.refusal_text += text.substr(0, refusal_text_bytes_max - transfer.refusal_text.size());
    return transfer.refusal_text.size() < refusal_text_bytes_max ? text.size() : 0;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* context) {
    auto& transfer = *static_cast<Transfer*>(context);
    const std::size_t bytes = size * count;
    if (transfer.on_part && has_good_status(transfer)) {
        return transfer.on_part(as_bytes({data, bytes})) ? bytes : 0;
    }
    if (transfer.body.empty() && !transfer.any_status) {
        const auto what = wanted(transfer);
        if (what != Wanted::body) {
            return what == Wanted::reason ? take_reason(transfer, {data, bytes}) : 0;
        }
    }
    if (bytes > transfer.body_bytes_max - transfer.body.size()) {
        transfer.too_long = true;
        return 0;
    }
    const auto text = as_bytes({data, bytes});
    transfer.body.insert(transfer.body.end(), text.begin(), text.end());
    return bytes;
}

int on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Transfer*>(context)->stop.stop_requested() ? 1 : 0;
}

constexpr std::chrono::milliseconds time_max = std::chrono::hours{24 * 7};

// Times are computed by callers, from what is left until a deadline among other things. To libcurl
// 0 means "for ever", and what is below 0 means as much or is refused.
long time_ms(std::chrono::milliseconds time) {
    return static_cast<long>(std::clamp(time, std::chrono::milliseconds(1), time_max).count());
}
long whole_seconds(std::chrono::seconds time) {
    using std::chrono::seconds;
    return static_cast<long>(
        std::clamp(time, seconds(1), std::chrono::duration_cast<seconds>(time_max)).count());
}

// Of constants and clamped values, which libcurl does not refuse.
template <typename T>
void set(CURL* handle, CURLoption option, T value) {
    [[maybe_unused]] const auto code = curl_easy_setopt(handle, option, value);
    assert(code == CURLE_OK);
}

} // namespace

namespace {
struct FreeHeaders {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeHeaders>;
} // namespace

struct HttpClient::State {
    struct Free {
        void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
    };
    std::unique_ptr<CURL, Free> easy{curl_easy_init()};
    std::shared_ptr<HttpTls> tls;
    std::string tls_refusal; ///< Why a server's certificate was refused in the last handshake.

    Result<Bytes> run(const std::string& url, const std::optional<std::string>& range,
                      const HttpUpload* upload, const HttpLimits& limits, std::stop_token stop);
    [[nodiscard]] Result<> prepare(const std::string& url, const HttpLimits& limits);
    [[nodiscard]] HeaderList prepare_upload(const HttpUpload& upload);
    [[nodiscard]] HeaderList prepare_request(const HttpRequest& request);
    [[nodiscard]] CURLcode perform(Transfer& transfer, char* detail);
    Result<HttpReply> run_any(const std::string& url, const HttpRequest& request,
                              const HttpLimits& limits, std::stop_token stop,
                              std::function<bool(ByteSpan)> on_part);
    [[nodiscard]] tl::unexpected<Error> explain(CURLcode code, const Transfer& transfer,
                                                const std::string& url, const char* detail);
};

namespace {

CURLcode on_tls_context(CURL* /*handle*/, void* context, void* state_pointer) {
    auto& state = *static_cast<HttpClient::State*>(state_pointer);
    const auto prepared = state.tls->prepare(static_cast<ssl_ctx_st*>(context), state.tls_refusal);
    if (!prepared) {
        state.tls_refusal = describe(prepared.error());
    }
    return prepared ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

std::string without_line_ends(std::string text) {
    while (text.ends_with('\n')) {
        text.pop_back();
    }
    return text;
}

// TLS 1.3 tells the client of its certificate's refusal by an alert after the handshake. OpenSSL's
// text has the alert's name (RFC 8446, section 6) and nothing else of use.
std::optional<std::string> certificate_alert(std::string_view detail) {
    constexpr std::string_view mark = "alert ";
    const auto at = detail.find(mark);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const auto alert = detail.substr(at + mark.size());
    if (alert.starts_with("certificate required")) {
        return "it lets in nobody without a certificate of its fleet: --tls-cert, --tls-key and "
               "--tls-ca";
    }
    if (alert.starts_with("protocol version")) {
        return "it does not speak TLS 1.3, or wants no other";
    }
    return "it refuses our certificate: " + std::string(alert.substr(0, alert.find(',')));
}

} // namespace

Result<> HttpClient::State::prepare(const std::string& url, const HttpLimits& limits) {
    auto* const curl = easy.get();
    curl_easy_reset(curl); // Keeps the connections.
    if (const auto code = curl_easy_setopt(curl, CURLOPT_URL, url.c_str()); code != CURLE_OK) {
        return fail(Errc::usage, "a URL of " + std::to_string(url.size()) +
                                     " bytes: " + curl_easy_strerror(code));
    }
    set(curl, CURLOPT_PROTOCOLS_STR, "http,https,file");
    set(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
    set(curl, CURLOPT_FOLLOWLOCATION, 0L);
    set(curl, CURLOPT_NOSIGNAL, 1L); // Time-outs without SIGALRM: other threads are about.
    set(curl, CURLOPT_USERAGENT, "slipway");
    set(curl, CURLOPT_CONNECTTIMEOUT_MS, time_ms(limits.connect_timeout));
    set(curl, CURLOPT_TIMEOUT_MS, time_ms(limits.total_timeout));
    constexpr std::uint64_t rate_max = 1ULL << 30U;
    set(curl, CURLOPT_LOW_SPEED_LIMIT,
        static_cast<long>(std::min(limits.bytes_per_s_min, rate_max)));
    set(curl, CURLOPT_LOW_SPEED_TIME, whole_seconds(limits.stall_timeout));
    set(curl, CURLOPT_BUFFERSIZE, 256L * 1024);
    set(curl, CURLOPT_TCP_NODELAY, 1L);
    tls_refusal.clear();
    if (tls) {
        set(curl, CURLOPT_SSL_CTX_FUNCTION, &on_tls_context);
        set(curl, CURLOPT_SSL_CTX_DATA, static_cast<void*>(this));
        set(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L); // A resumed session shows no certificates.
        // The context's own authorities are the only ones; the system's would be read for nothing.
        set(curl, CURLOPT_CAINFO, static_cast<char*>(nullptr));
        set(curl, CURLOPT_CAPATH, static_cast<char*>(nullptr));
    }
    return {};
}

HeaderList HttpClient::State::prepare_upload(const HttpUpload& upload) {
    auto* const curl = easy.get();
    // "Expect: 100-continue" would cost a round trip before each part.
    curl_slist* list = curl_slist_append(nullptr, "Expect:");
    list = curl_slist_append(list, "Content-Type: application/octet-stream");
    if (!upload.content_range.empty()) {
        list = curl_slist_append(list, ("Content-Range: " + upload.content_range).c_str());
    }
    set(curl, CURLOPT_POST, 1L);
    set(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(upload.body.size()));
    set(curl, CURLOPT_POSTFIELDS, reinterpret_cast<const char*>(upload.body.data()));
    set(curl, CURLOPT_CUSTOMREQUEST, upload.method);
    set(curl, CURLOPT_HTTPHEADER, list);
    return HeaderList(list);
}

Result<Bytes> HttpClient::State::run(const std::string& url,
                                     const std::optional<std::string>& range,
                                     const HttpUpload* upload, const HttpLimits& limits,
                                     std::stop_token stop) {
    Transfer transfer;
    transfer.method = upload != nullptr ? upload->method : "GET";
    if (stop.stop_requested()) {
        return fail(Errc::cancelled, std::string(transfer.method) + " " + printable(url));
    }
    auto* const curl = easy.get();
    if (auto prepared = prepare(url, limits); !prepared) {
        return tl::unexpected(std::move(prepared.error()));
    }
    const auto headers = upload != nullptr ? prepare_upload(*upload) : HeaderList();
    transfer.body_bytes_max = limits.body_bytes_max;
    transfer.handle = curl;
    transfer.range_asked = range.has_value() && !url.starts_with("file:");
    transfer.stop = std::move(stop);
    char detail[CURL_ERROR_SIZE] = "";
    if (range) {
        set(curl, CURLOPT_RANGE, range->c_str());
    }
    const auto code = perform(transfer, static_cast<char*>(detail));
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    const bool is_file = url.starts_with("file:");
    const bool good_status = is_file || status == (range ? 206 : 200);
    if (code != CURLE_OK || !good_status) {
        return explain(code, transfer, url, static_cast<const char*>(detail));
    }
    return std::move(transfer.body);
}

CURLcode HttpClient::State::perform(Transfer& transfer, char* detail) {
    auto* const curl = easy.get();
    set(curl, CURLOPT_ERRORBUFFER, detail);
    set(curl, CURLOPT_WRITEFUNCTION, &on_body);
    set(curl, CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
    set(curl, CURLOPT_NOPROGRESS, 0L);
    set(curl, CURLOPT_XFERINFOFUNCTION, &on_progress);
    set(curl, CURLOPT_XFERINFODATA, static_cast<void*>(&transfer));
    const auto code = curl_easy_perform(curl);
    // The handle outlives the caller's buffer.
    set(curl, CURLOPT_ERRORBUFFER, static_cast<char*>(nullptr));
    return code;
}

HeaderList HttpClient::State::prepare_request(const HttpRequest& request) {
    auto* const curl = easy.get();
    curl_slist* list = curl_slist_append(nullptr, "Expect:");
    for (const auto& header : request.headers) {
        list = curl_slist_append(list, header.c_str());
    }
    if (request.method != "GET") {
        list = curl_slist_append(list, ("Content-Type: " + request.type).c_str());
        set(curl, CURLOPT_POST, 1L);
        set(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        set(curl, CURLOPT_POSTFIELDS, request.body.c_str());
        set(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
    set(curl, CURLOPT_HTTPHEADER, list);
    return HeaderList(list);
}

Result<HttpReply> HttpClient::State::run_any(const std::string& url, const HttpRequest& request,
                                             const HttpLimits& limits, std::stop_token stop,
                                             std::function<bool(ByteSpan)> on_part) {
    Transfer transfer;
    transfer.method = request.method.c_str();
    transfer.any_status = true;
    transfer.on_part = std::move(on_part);
    transfer.body_bytes_max = limits.body_bytes_max;
    transfer.handle = easy.get();
    transfer.stop = std::move(stop);
    if (auto prepared = prepare(url, limits); !prepared) {
        return tl::unexpected(std::move(prepared.error()));
    }
    const auto headers = prepare_request(request);
    char detail[CURL_ERROR_SIZE] = "";
    const auto code = perform(transfer, static_cast<char*>(detail));
    long status = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_WRITE_ERROR && transfer.on_part && has_good_status(transfer)) {
        return fail(Errc::cancelled, request.method + " " + printable(url));
    }
    if (code != CURLE_OK) {
        return explain(code, transfer, url, static_cast<const char*>(detail));
    }
    return HttpReply{static_cast<int>(status), std::move(transfer.body)};
}

tl::unexpected<Error> HttpClient::State::explain(CURLcode code, const Transfer& transfer,
                                                 const std::string& url, const char* detail) {
    const std::string what = std::string(transfer.method) + " " + printable(url);
    long status = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
    if (transfer.stop.stop_requested()) {
        return fail(Errc::cancelled, what);
    }
    if (transfer.too_long) {
        return fail(Errc::verification_failed, what + ": the body is longer than " +
                                                   std::to_string(transfer.body_bytes_max) +
                                                   " bytes");
    }
    if (transfer.range_ignored) {
        return fail(Errc::unreachable, what + ": the server does not serve byte ranges");
    }
    if (status == 403) {
        return fail(Errc::forbidden,
                    what + ": HTTP status 403: " + without_line_ends(transfer.refusal_text));
    }
    if (!tls_refusal.empty()) {
        return fail(Errc::verification_failed, what + ": " + tls_refusal);
    }
    if (code == CURLE_PEER_FAILED_VERIFICATION) {
        return fail(Errc::verification_failed,
                    what + ": " + detail +
                        (tls ? ""
                             : "; for a seeder with a fleet's own authority give --tls-cert, "
                               "--tls-key and --tls-ca"));
    }
    if (auto alert = certificate_alert(detail)) {
        return fail(Errc::forbidden, what + ": " + *alert);
    }
    if (status == 404 || status == 410 || code == CURLE_FILE_COULDNT_READ_FILE) {
        return fail(Errc::not_found, what);
    }
    if (status >= 300 || (code == CURLE_OK && status != 0)) {
        const auto reason = without_line_ends(transfer.refusal_text);
        const auto code_of = status == 422   ? Errc::verification_failed
                             : status == 409 ? Errc::failed
                                             : Errc::unreachable;
        return fail(code_of, what + ": HTTP status " + std::to_string(status) +
                                 (reason.empty() ? "" : ": " + reason));
    }
    long asked = 0; // Above 0: the server was reached, and its answer is what takes too long.
    curl_easy_getinfo(easy.get(), CURLINFO_REQUEST_SIZE, &asked);
    const bool slow = code == CURLE_OPERATION_TIMEDOUT && asked > 0;
    return fail(Errc::unreachable, what + ": " +
                                       (*detail != '\0' ? detail : curl_easy_strerror(code)) +
                                       (slow ? " (slow retrieval attack, or a poor network)" : ""));
}

HttpClient::HttpClient(std::shared_ptr<HttpTls> tls) {
    init_curl_once();
    state_ = std::make_unique<State>();
    assert(state_->easy != nullptr);
    state_->tls = std::move(tls);
}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

Result<Bytes> HttpClient::get(const std::string& url, const HttpLimits& limits,
                              std::stop_token stop) {
    return state_->run(url, std::nullopt, nullptr, limits, std::move(stop));
}

Result<Bytes> HttpClient::send(const std::string& url, const HttpUpload& upload,
                               const HttpLimits& limits, std::stop_token stop) {
    return state_->run(url, std::nullopt, &upload, limits, std::move(stop));
}

Result<HttpReply> HttpClient::request(const std::string& url, const HttpRequest& request,
                                      const HttpLimits& limits, std::stop_token stop,
                                      std::function<bool(ByteSpan)> on_part) {
    if (stop.stop_requested()) {
        return fail(Errc::cancelled, request.method + " " + printable(url));
    }
    return state_->run_any(url, request, limits, std::move(stop), std::move(on_part));
}

Result<Bytes> HttpClient::get_range(const std::string& url, std::uint64_t offset,
                                    std::uint64_t bytes, const HttpLimits& limits,
                                    std::stop_token stop) {
    assert(bytes > 0 && bytes <= limits.body_bytes_max);
    const auto range = std::to_string(offset) + "-" + std::to_string(offset + bytes - 1);
    HttpLimits exact = limits;
    exact.body_bytes_max = bytes;
    return state_->run(url, range, nullptr, exact, std::move(stop))
        .and_then([&](Bytes body) -> Result<Bytes> {
            if (body.size() != bytes) {
                return fail(Errc::verification_failed,
                            "GET " + printable(url) + ": " + std::to_string(body.size()) +
                                " bytes came where " + std::to_string(bytes) + " were asked for");
            }
            return body;
        });
}

} // namespace slipway
