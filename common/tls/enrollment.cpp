#include "common/tls/enrollment.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>
#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include "common/core/errc.h"
#include "common/core/sha256.h"
#include "common/trust/utc_time.h"

namespace slipway::tls {
namespace {

using nlohmann::json;

constexpr std::size_t id_digits = 16;
constexpr std::size_t secret_digits = 64;
constexpr std::size_t digest_digits = 64;
constexpr std::size_t index_bytes_max = std::size_t{8} * 1024 * 1024;

bool is_hex(std::string_view text, std::size_t digits) {
    return text.size() == digits &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Each part with its length, so that no two messages have one form.
std::string mac_of(const EnrollToken& token, std::string_view purpose,
                   std::initializer_list<std::string_view> parts) {
    std::string text(purpose);
    for (const auto part : parts) {
        text += "\n" + std::to_string(part.size()) + ":";
        text += part;
    }
    std::array<unsigned char, 32> mac{};
    unsigned length = mac.size();
    HMAC(EVP_sha256(), token.secret.data(), static_cast<int>(token.secret.size()),
         as_bytes(text).data(), text.size(), mac.data(), &length);
    return to_hex(mac);
}

std::string request_mac_of(const EnrollToken& token, const std::string& csr) {
    return mac_of(token, "slipway enroll request 1", {token.id, csr});
}

std::string reply_mac_of(const EnrollToken& token, const std::string& request_mac,
                         const EnrollReply& reply) {
    return mac_of(token, "slipway enroll reply 1",
                  {request_mac, reply.certificate, reply.authority});
}

Result<> check_equal(const std::string& mac, const std::string& expected, const char* what) {
    if (mac.size() != expected.size() ||
        CRYPTO_memcmp(mac.data(), expected.data(), expected.size()) != 0) {
        return fail(Errc::forbidden, what);
    }
    return {};
}

Result<json> parse_message(ByteSpan text, const char* what) {
    if (text.size() > enroll_message_bytes_max) {
        return fail(Errc::verification_failed, std::string(what) + ": longer than 64 KiB");
    }
    auto parsed = json::parse(text.begin(), text.end(), nullptr, false);
    if (!parsed.is_object() || parsed.value("version", json()) != json(1)) {
        return fail(Errc::verification_failed,
                    std::string(what) + ": not a JSON object of version 1");
    }
    return parsed;
}

// A text; empty if there is none.
std::string text_at(const json& message, const char* field) {
    const auto found = message.find(field);
    return found != message.end() && found->is_string() ? found->get<std::string>() : "";
}

Result<TokenIndex::Entry> entry_from(const json& from) {
    TokenIndex::Entry entry;
    entry.token = {text_at(from, "id"), text_at(from, "secret")};
    entry.key = text_at(from, "key");
    auto identity = Identity::parse_text(text_at(from, "identity"));
    const auto not_after = trust::parse_utc(text_at(from, "not_after"));
    if (!is_hex(entry.token.id, id_digits) || !is_hex(entry.token.secret, secret_digits) ||
        !identity || !not_after || (!entry.key.empty() && !is_hex(entry.key, digest_digits))) {
        return fail(Errc::verification_failed, "a token is malformed");
    }
    entry.identity = std::move(*identity);
    entry.not_after = *not_after;
    return entry;
}

} // namespace

Result<EnrollToken> EnrollToken::parse(std::string_view text) {
    if (text.size() != id_digits + 1 + secret_digits || text[id_digits] != '.' ||
        !is_hex(text.substr(0, id_digits), id_digits) ||
        !is_hex(text.substr(id_digits + 1), secret_digits)) {
        return fail(Errc::usage, "this is no token of `slipway ca token`: 16 digits, a dot, 64 "
                                 "digits are expected");
    }
    return EnrollToken{std::string(text.substr(0, id_digits)),
                       std::string(text.substr(id_digits + 1))};
}

std::string EnrollRequest::encode() const {
    return json{{"version", 1}, {"token", token}, {"csr", csr}, {"mac", mac}}.dump(
        -1, ' ', false, json::error_handler_t::replace);
}

Result<EnrollRequest> EnrollRequest::decode(ByteSpan text) {
    return parse_message(text, "enroll request")
        .and_then([](const json& m) -> Result<EnrollRequest> {
            EnrollRequest request{text_at(m, "token"), text_at(m, "csr"), text_at(m, "mac")};
            if (!is_hex(request.token, id_digits) || request.csr.empty() ||
                !is_hex(request.mac, digest_digits)) {
                return fail(Errc::verification_failed, "enroll request: a field is malformed");
            }
            return request;
        });
}

EnrollRequest make_enroll_request(const EnrollToken& token, std::string csr) {
    EnrollRequest request{token.id, std::move(csr), {}};
    request.mac = request_mac_of(token, request.csr);
    return request;
}

std::string EnrollReply::encode() const {
    return json{
        {"version", 1}, {"certificate", certificate}, {"authority", authority}, {"mac", mac}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<EnrollReply> EnrollReply::decode(ByteSpan text) {
    return parse_message(text, "enroll reply").and_then([](const json& m) -> Result<EnrollReply> {
        EnrollReply reply{text_at(m, "certificate"), text_at(m, "authority"), text_at(m, "mac")};
        if (reply.certificate.empty() || reply.authority.empty() ||
            !is_hex(reply.mac, digest_digits)) {
            return fail(Errc::verification_failed, "enroll reply: a field is malformed");
        }
        return reply;
    });
}

EnrollReply make_enroll_reply(const EnrollToken& token, const std::string& request_mac,
                              std::string certificate, std::string authority) {
    EnrollReply reply{std::move(certificate), std::move(authority), {}};
    reply.mac = reply_mac_of(token, request_mac, reply);
    return reply;
}

Result<> check_mac(const EnrollToken& token, const EnrollRequest& request) {
    return check_equal(request.mac, request_mac_of(token, request.csr),
                       "the request was not made with this token");
}

Result<> check_mac(const EnrollToken& token, const std::string& request_mac,
                   const EnrollReply& reply) {
    return check_equal(reply.mac, reply_mac_of(token, request_mac, reply),
                       "the answer was not made with this token: whoever answered is not the "
                       "authority that gave it out");
}

std::string TokenIndex::encode() const {
    json out = {{"version", 1}, {"tokens", json::array()}};
    for (const auto& entry : entries) {
        out["tokens"].push_back({{"id", entry.token.id},
                                 {"secret", entry.token.secret},
                                 {"identity", entry.identity.text()},
                                 {"not_after", trust::format_utc(entry.not_after)},
                                 {"key", entry.key}});
    }
    return out.dump(1) + "\n";
}

Result<TokenIndex> TokenIndex::decode(ByteSpan text, const std::string& what) {
    const auto parsed = text.size() > index_bytes_max
                            ? json()
                            : json::parse(text.begin(), text.end(), nullptr, false);
    if (!parsed.is_object() || parsed.value("version", json()) != json(1) ||
        !parsed.value("tokens", json()).is_array() || parsed["tokens"].size() > tokens_max) {
        return fail(Errc::verification_failed, what + ": not a list of tokens of version 1");
    }
    TokenIndex index;
    for (const auto& one : parsed["tokens"]) {
        auto entry = entry_from(one.is_object() ? one : json::object());
        if (!entry) {
            return fail(Errc::verification_failed, what + ": " + entry.error().context);
        }
        index.entries.push_back(std::move(*entry));
    }
    return index;
}

Result<> TokenIndex::add(Entry entry, std::chrono::sys_seconds now) {
    std::erase_if(entries, [&](const Entry& one) { return one.not_after <= now; });
    if (entries.size() >= tokens_max) {
        return fail(Errc::failed, "there are " + std::to_string(tokens_max) +
                                      " tokens that have not expired: wait, or give shorter ones");
    }
    entries.push_back(std::move(entry));
    return {};
}

Result<EnrollToken> TokenIndex::find(const std::string& id, std::chrono::sys_seconds now) const {
    const auto found =
        std::ranges::find_if(entries, [&](const Entry& one) { return one.token.id == id; });
    if (found == entries.end() || found->not_after <= now) {
        return fail(Errc::forbidden, "token " + id + " is not known, or has expired");
    }
    return found->token;
}

Result<Identity> TokenIndex::redeem(const std::string& id, const std::string& key,
                                    std::chrono::sys_seconds now) {
    return find(id, now).and_then([&](const EnrollToken& /*token*/) -> Result<Identity> {
        auto& entry =
            *std::ranges::find_if(entries, [&](const Entry& one) { return one.token.id == id; });
        if (!entry.key.empty() && entry.key != key) {
            return fail(Errc::forbidden, "token " + id + " was used with another key");
        }
        entry.key = key;
        return entry.identity;
    });
}

} // namespace slipway::tls
