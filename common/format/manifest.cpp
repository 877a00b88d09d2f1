#include "common/format/manifest.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/format/index.h"
#include "common/trust/canonical_json.h"

namespace slipway {
namespace {

using nlohmann::json;

constexpr std::string_view format_name = "slipway-manifest-1";

bool is_label_key(std::string_view key) {
    const auto is_alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    return !key.empty() && key.size() <= 64 && is_alnum(key.front()) &&
           std::ranges::all_of(key, [&](char c) {
               return is_alnum(c) || std::string_view("._-").find(c) != std::string_view::npos;
           });
}

bool is_utf8(const std::string& text) {
    try {
        return !json(text).dump().empty();
    } catch (const json::exception&) {
        return false; // dump() refuses invalid UTF-8.
    }
}

bool is_label_value(const std::string& value) {
    return value.size() <= label_value_bytes_max && printable(value) == value && is_utf8(value);
}

/// Takes members out of an object and notes the first that is missing or of another type.
class Members {
public:
    Members(const json& object, std::string what) : object_(object), what_(std::move(what)) {}

    std::string text(const char* key) {
        const auto* value = find(key);
        return value != nullptr && value->is_string() ? value->get<std::string>()
                                                      : miss<std::string>(key);
    }
    std::uint64_t number(const char* key, std::uint64_t max) {
        const auto* value = find(key);
        if (value == nullptr || !value->is_number_integer() || *value < 0) {
            return miss<std::uint64_t>(key);
        }
        const auto number = value->get<std::uint64_t>();
        return number <= max ? number : miss<std::uint64_t>(key);
    }
    const json& object(const char* key) {
        static const json empty = json::object();
        const auto* value = find(key);
        if (value != nullptr && value->is_object()) {
            return *value;
        }
        miss<int>(key);
        return empty;
    }
    [[nodiscard]] Result<> result() const {
        return missing_.empty() ? Result<>{} : fail(Errc::verification_failed, missing_);
    }

private:
    const json* find(const char* key) const {
        const auto found = object_.is_object() ? object_.find(key) : object_.end();
        return found == object_.end() ? nullptr : &*found;
    }
    template <typename T>
    T miss(const char* key) {
        if (missing_.empty()) {
            missing_ = what_ + ": '" + key + "' is missing or not what it must be";
        }
        return {};
    }
    const json& object_;
    std::string what_;
    std::string missing_;
};

Result<> check_values(const Manifest& manifest, std::string_view what) {
    const auto bad = [&](const std::string& why) {
        return fail(Errc::verification_failed, std::string(what) + ": " + why);
    };
    if (!parse_artifact_name(manifest.id.name) || !parse_version(manifest.id.version)) {
        return bad("not a name and a version");
    }
    if (!manifest.unit.empty() && !parse_unit_name(manifest.unit)) {
        return bad("not a unit's name");
    }
    if (!manifest.unit.empty() && manifest.run) {
        return bad("'unit' and 'run' exclude each other");
    }
    if (manifest.labels.size() > labels_max) {
        return bad("more than " + std::to_string(labels_max) + " labels");
    }
    for (const auto& [key, value] : manifest.labels) {
        if (!is_label_key(key) || !is_label_value(value)) {
            return bad("the label '" + key + "' is malformed");
        }
    }
    return {};
}

Result<Manifest> manifest_of(const json& document, std::string_view what) {
    Members members(document, std::string(what));
    Members index(members.object("index"), std::string(what) + ": index");
    Manifest manifest;
    if (members.text("format") != format_name) {
        return fail(Errc::verification_failed, std::string(what) +
                                                   ": not a manifest of version 1 ('" +
                                                   std::string(format_name) + "')");
    }
    manifest.id = {members.text("name"), members.text("version")};
    manifest.entries = members.number("entries", index_bytes_max);
    manifest.files = members.number("files", index_bytes_max);
    manifest.tree_bytes = members.number("tree_bytes", tree_bytes_max);
    manifest.unit = members.text("unit");
    manifest.index_bytes = index.number("bytes", index_bytes_max);
    const auto digest = Sha256Digest::from_hex(index.text("sha256"));
    const auto kind = parse_artifact_kind(members.text("kind"));
    Members labels(members.object("labels"), std::string(what) + ": labels");
    for (const auto& [key, value] : members.object("labels").items()) {
        manifest.labels[key] = labels.text(key.c_str());
    }
    for (const auto& result : {members.result(), index.result(), labels.result()}) {
        if (!result) {
            return tl::unexpected(result.error());
        }
    }
    if (const auto run = document.find("run"); run != document.end()) {
        auto spec = parse_run_spec(*run, std::string(what) + ": run");
        if (!spec) {
            return tl::unexpected(spec.error());
        }
        manifest.run = std::move(*spec);
    }
    if (!digest || !kind) {
        return fail(Errc::verification_failed, std::string(what) + ": bad index digest or kind");
    }
    manifest.index = *digest;
    manifest.kind = *kind;
    return check_values(manifest, what).map([&] { return std::move(manifest); });
}

} // namespace

Result<std::string> parse_unit_name(std::string_view text) {
    constexpr std::array suffixes = {".service", ".socket", ".target", ".timer", ".path"};
    const bool good =
        !text.empty() && text.size() <= 255 && text.front() != '.' && text.front() != '-' &&
        std::ranges::any_of(suffixes,
                            [&](std::string_view suffix) {
                                return text.size() > suffix.size() && text.ends_with(suffix);
                            }) &&
        std::ranges::all_of(text, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   std::string_view(":_.@-").find(c) != std::string_view::npos;
        });
    if (!good) {
        return fail(Errc::usage, "'" + std::string(text.substr(0, 255)) +
                                     "' is not a systemd unit's name, for example web.service");
    }
    return std::string(text);
}

Result<std::pair<std::string, std::string>> parse_label(std::string_view text) {
    const auto equals = text.find('=');
    std::string key(text.substr(0, equals));
    std::string value(equals == std::string_view::npos ? "" : text.substr(equals + 1));
    if (equals == std::string_view::npos || !is_label_key(key) || !is_label_value(value)) {
        return fail(Errc::usage,
                    "'" + std::string(text.substr(0, 200)) +
                        "' is not a label: KEY=VALUE, the key [a-z0-9][a-z0-9._-]* up to 64 bytes, "
                        "the value up to " +
                        std::to_string(label_value_bytes_max) + " bytes of plain text");
    }
    return std::pair(std::move(key), std::move(value));
}

std::string encode_manifest(const Manifest& manifest) {
    assert(check_values(manifest, "manifest"));
    json out{
        {"entries", manifest.entries},
        {"files", manifest.files},
        {"format", format_name},
        {"index", {{"bytes", manifest.index_bytes}, {"sha256", manifest.index.hex()}}},
        {"kind", to_string(manifest.kind)},
        {"labels", manifest.labels},
        {"name", manifest.id.name},
        {"tree_bytes", manifest.tree_bytes},
        {"unit", manifest.unit},
        {"version", manifest.id.version},
    };
    if (manifest.run) {
        out["run"] = run_spec_json(*manifest.run);
    }
    return canonical_json(out);
}

RunSpec run_spec_of(const Manifest& manifest) {
    RunSpec spec = manifest.run.value_or(RunSpec{});
    if (!manifest.unit.empty()) {
        spec.unit = RunUnit{.name = manifest.unit};
    }
    return spec;
}

Result<Manifest> decode_manifest(ByteSpan text, std::string_view what) {
    return parse_json(text, manifest_bytes_max, what)
        .and_then([&](const json& document) { return manifest_of(document, what); })
        .and_then([&](Manifest manifest) -> Result<Manifest> {
            // One manifest has one form. This also refuses unknown keys.
            if (encode_manifest(manifest) != as_text(text)) {
                return fail(Errc::verification_failed,
                            std::string(what) + ": not canonical, or with keys that are unknown");
            }
            return manifest;
        });
}

} // namespace slipway
