#include "common/core/names.h"

#include <algorithm>

#include "common/core/errc.h"

namespace slipway {
namespace {

bool is_lower_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

bool is_name_part(std::string_view part) {
    return !part.empty() && is_lower_or_digit(part.front()) &&
           part.find("..") == std::string_view::npos && std::ranges::all_of(part, [](char c) {
               return is_lower_or_digit(c) || c == '.' || c == '_' || c == '-';
           });
}

tl::unexpected<Error> usage(std::string_view text, std::string_view rule) {
    return fail(Errc::usage,
                "'" + std::string(text.substr(0, 200)) + "' is not " + std::string(rule));
}

} // namespace

Result<std::string> parse_artifact_name(std::string_view text) {
    constexpr std::string_view rule = "an artifact name: up to 128 bytes, parts of [a-z0-9._-] "
                                      "starting with a letter or digit, joined by '/'";
    if (text.size() > 128) {
        return usage(text, rule);
    }
    for (std::size_t start = 0; start <= text.size();) {
        const auto slash = std::min(text.find('/', start), text.size());
        if (!is_name_part(text.substr(start, slash - start))) {
            return usage(text, rule);
        }
        start = slash + 1;
    }
    return std::string(text);
}

Result<std::string> parse_version(std::string_view text) {
    const bool good = !text.empty() && text.size() <= 64 &&
                      (is_lower_or_digit(text.front()) || is_upper(text.front())) &&
                      text.find("..") == std::string_view::npos &&
                      std::ranges::all_of(text, [](char c) {
                          return is_lower_or_digit(c) || is_upper(c) ||
                                 std::string_view("._+~-").find(c) != std::string_view::npos;
                      });
    if (!good) {
        return usage(text, "a version: up to 64 bytes of [A-Za-z0-9._+~-] starting with a letter "
                           "or digit");
    }
    return std::string(text);
}

Result<std::string> parse_service_name(std::string_view text) {
    if (text.size() > 64 || !is_name_part(text)) {
        return usage(text, "a service name: up to 64 bytes of [a-z0-9._-] starting with a letter "
                           "or digit");
    }
    return std::string(text);
}

Result<ArtifactId> ArtifactId::parse(std::string_view text) {
    const auto at = text.find('@');
    if (at == std::string_view::npos) {
        return usage(text, "NAME@VERSION");
    }
    ArtifactId id;
    return parse_artifact_name(text.substr(0, at))
        .and_then([&](std::string name) {
            id.name = std::move(name);
            return parse_version(text.substr(at + 1));
        })
        .map([&](std::string version) {
            id.version = std::move(version);
            return std::move(id);
        });
}

std::string_view to_string(ArtifactKind kind) {
    return kind == ArtifactKind::code ? "code" : "config";
}

Result<ArtifactKind> parse_artifact_kind(std::string_view text) {
    if (text == "code") {
        return ArtifactKind::code;
    }
    if (text == "config") {
        return ArtifactKind::config;
    }
    return usage(text, "an artifact kind: code or config");
}

} // namespace slipway
