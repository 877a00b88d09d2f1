#include "common/tls/issued.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/trust/utc_time.h"

namespace slipway::tls {
namespace {

using nlohmann::json;

constexpr std::string_view hexadecimal = "0123456789abcdef";
constexpr std::size_t serial_digits_max = 40; // RFC 5280, 4.1.2.2: 20 bytes.

bool is_serial(std::string_view text) {
    return !text.empty() && text.size() <= serial_digits_max &&
           text.find_first_not_of(hexadecimal) == std::string_view::npos;
}

json to_json(const Issued& one) {
    json out = {{"serial", one.serial},
                {"identity", one.identity.text()},
                {"not_after", trust::format_utc(one.not_after)}};
    if (one.revoked) {
        out["revoked"] = trust::format_utc(*one.revoked);
    }
    return out;
}

Result<Issued> from_json(const json& entry) {
    Issued one;
    one.serial = entry.at("serial").get<std::string>();
    if (!is_serial(one.serial)) {
        return fail(Errc::verification_failed, "a serial number is malformed");
    }
    auto identity = Identity::parse_text(entry.at("identity").get<std::string>());
    if (!identity) {
        return tl::unexpected(identity.error());
    }
    one.identity = std::move(*identity);
    const auto not_after = trust::parse_utc(entry.at("not_after").get<std::string>());
    if (!not_after) {
        return fail(Errc::verification_failed, "a time is malformed");
    }
    one.not_after = *not_after;
    if (entry.contains("revoked")) {
        const auto revoked = trust::parse_utc(entry.at("revoked").get<std::string>());
        if (!revoked) {
            return fail(Errc::verification_failed, "a time is malformed");
        }
        one.revoked = *revoked;
    }
    return one;
}

} // namespace

std::string IssuedIndex::encode() const {
    json out = {{"version", 1}, {"crl_number", crl_number}, {"certificates", json::array()}};
    for (const auto& one : certificates) {
        out["certificates"].push_back(to_json(one));
    }
    return out.dump(1) + "\n";
}

Result<IssuedIndex> IssuedIndex::decode(ByteSpan text, const std::string& what) try {
    const auto parsed = json::parse(text.begin(), text.end());
    if (parsed.at("version").get<int>() != 1) {
        return fail(Errc::verification_failed, what + ": of a version that is not known here");
    }
    IssuedIndex index;
    index.crl_number = parsed.at("crl_number").get<std::uint64_t>();
    for (const auto& entry : parsed.at("certificates")) {
        auto one = from_json(entry);
        if (!one) {
            return fail(Errc::verification_failed, what + ": " + one.error().context);
        }
        index.certificates.push_back(std::move(*one));
    }
    return index;
} catch (const json::exception& error) {
    return fail(Errc::verification_failed, what + ": " + error.what());
}

Result<std::vector<Issued>> IssuedIndex::revoke(const std::string& what,
                                                std::chrono::sys_seconds now) {
    bool found = false;
    std::vector<Issued> touched;
    for (auto& one : certificates) {
        if (one.serial != what && one.identity.text() != what) {
            continue;
        }
        found = true;
        if (!one.revoked) {
            one.revoked = now;
            touched.push_back(one);
        }
    }
    if (!found) {
        return fail(Errc::not_found, "no certificate of '" + what.substr(0, 100) +
                                         "' was issued here; `slipway ca list` shows all");
    }
    if (touched.empty()) {
        return fail(Errc::failed,
                    "every certificate of " + what +
                        " is revoked already; `slipway ca crl` writes the list again");
    }
    return touched;
}

} // namespace slipway::tls
