// OpenSSL 3 prefers providers to engines; bookworm has the engine only.
#define OPENSSL_SUPPRESS_DEPRECATED // NOLINT(readability-identifier-naming)
#include "common/trust/pkcs11.h"

#include <vector>

#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "common/core/errc.h"
#include "common/core/sha256.h"

namespace slipway::trust {
namespace {

struct PinUri {
    std::string key; ///< Without the query.
    std::string module_path;
    std::string pin_file;
};

/// %XX of RFC 3986; what is no escape stays.
std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = text[i] == '%' ? from_hex(text.substr(i + 1, 2)) : Result<Bytes>(Bytes{});
        if (text[i] == '%' && byte && byte->size() == 1) {
            out += static_cast<char>(byte->front());
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

Result<PinUri> parse_uri(const std::string& uri) {
    if (!uri.starts_with("pkcs11:")) {
        return fail(Errc::usage, "not a pkcs11: URI");
    }
    const auto question = std::min(uri.find('?'), uri.size());
    PinUri out{uri.substr(0, question), {}, {}};
    std::string_view query(uri);
    query.remove_prefix(std::min(question + 1, uri.size()));
    while (!query.empty()) {
        const auto end = std::min(query.find('&'), query.size());
        const auto attribute = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        const auto equals = std::min(attribute.find('='), attribute.size());
        const auto name = attribute.substr(0, equals);
        auto value = unescape(attribute.substr(std::min(equals + 1, attribute.size())));
        if (name == "module-path") {
            out.module_path = std::move(value);
        } else if (name == "pin-source") {
            out.pin_file = value.starts_with("file:") ? value.substr(5) : value;
        } else {
            return fail(Errc::usage, "attribute \"" + std::string(name) +
                                         "\" of a pkcs11: URI: module-path and pin-source are "
                                         "known (a PIN belongs into a file: pin-source)");
        }
    }
    return out;
}

std::string openssl_error() {
    const auto code = ERR_peek_last_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? "" : std::string(": ") + reason;
}

/// The engine, loaded once: its library can be initialised once in a process.
Result<ENGINE*> open_engine(const std::string& module_path) {
    static ENGINE* opened = nullptr;
    static std::string opened_module;
    if (opened != nullptr) {
        return opened_module == module_path
                   ? Result<ENGINE*>(opened)
                   : fail(Errc::failed, "one PKCS#11 library at a time: " + opened_module +
                                            " is in use, not " + module_path);
    }
    ENGINE_load_dynamic();
    ENGINE* engine = ENGINE_by_id("pkcs11");
    if (engine == nullptr) {
        return fail(Errc::failed, "OpenSSL has no engine pkcs11 (Debian: install "
                                  "libengine-pkcs11-openssl)" +
                                      openssl_error());
    }
    if ((!module_path.empty() &&
         ENGINE_ctrl_cmd_string(engine, "MODULE_PATH", module_path.c_str(), 0) != 1) ||
        ENGINE_init(engine) != 1) {
        const auto why = openssl_error();
        ENGINE_free(engine);
        return fail(Errc::failed, "open the PKCS#11 library " +
                                      (module_path.empty() ? "of p11-kit" : module_path) + why);
    }
    opened = engine;
    opened_module = module_path;
    return engine;
}

} // namespace

Result<SigningKey> load_pkcs11_key(const std::string& uri) {
    const auto parsed = parse_uri(uri);
    if (!parsed) {
        return tl::unexpected(parsed.error());
    }
    std::string pin;
    if (!parsed->pin_file.empty()) {
        auto read = read_secret(parsed->pin_file);
        if (!read) {
            return tl::unexpected(within("PIN", read.error()));
        }
        pin = std::move(*read);
    }
    const auto engine = open_engine(parsed->module_path);
    if (!engine) {
        return tl::unexpected(engine.error());
    }
    if (!pin.empty() && ENGINE_ctrl_cmd_string(*engine, "PIN", pin.c_str(), 0) != 1) {
        return fail(Errc::failed, "hand the PIN to the token");
    }
    OPENSSL_cleanse(pin.data(), pin.size());
    KeyHandle key(ENGINE_load_private_key(*engine, parsed->key.c_str(), nullptr, nullptr));
    if (!key) {
        const auto why = openssl_error();
        ERR_clear_error();
        return fail(Errc::failed,
                    "open " + parsed->key + " (no such token or key, or a wrong PIN)" + why);
    }
    return SigningKey::adopt(std::move(key), parsed->key);
}

} // namespace slipway::trust
