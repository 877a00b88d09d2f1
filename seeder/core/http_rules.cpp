#include "seeder/core/http_rules.h"

#include <algorithm>
#include <array>

#include "common/core/numbers.h"

namespace slipway::seeder {
namespace {

bool is_path_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._+~-").find(c) != std::string_view::npos;
}

} // namespace

std::optional<std::string> repository_path(std::string_view http_path) {
    constexpr std::array roots{"/metadata/", "/targets/", "/packs/"};
    const bool in_layout =
        std::ranges::any_of(roots, [&](const char* root) { return http_path.starts_with(root); });
    if (!in_layout || http_path.size() > 1024 ||
        !std::ranges::all_of(http_path, is_path_character)) {
        return std::nullopt;
    }
    // No hidden file (temporary names begin with a dot), no "..", no empty part.
    if (http_path.find("/.") != std::string_view::npos ||
        http_path.find("//") != std::string_view::npos || http_path.ends_with('/')) {
        return std::nullopt;
    }
    return std::string(http_path.substr(1));
}

std::optional<FileRange> range_to_send(std::string_view header, std::uint64_t file_bytes) {
    const FileRange whole{.offset = 0, .bytes = file_bytes, .partial = false};
    constexpr std::string_view unit = "bytes=";
    if (!header.starts_with(unit) || header.find(',') != std::string_view::npos) {
        return whole;
    }
    header.remove_prefix(unit.size());
    const auto dash = header.find('-');
    if (dash == std::string_view::npos) {
        return whole;
    }
    const auto first = parse_number<std::uint64_t>(header.substr(0, dash));
    const auto last = parse_number<std::uint64_t>(header.substr(dash + 1));
    if (dash == 0) { // "-500": the last 500 bytes.
        if (!last) {
            return whole;
        }
        const auto bytes = std::min(*last, file_bytes);
        return bytes == 0 ? std::nullopt
                          : std::optional(FileRange{file_bytes - bytes, bytes, true});
    }
    const bool open_end = dash + 1 == header.size();
    if (!first || (!last && !open_end) || (last && *last < *first)) {
        return whole;
    }
    if (*first >= file_bytes) {
        return std::nullopt;
    }
    const auto end = open_end ? file_bytes - 1 : std::min(*last, file_bytes - 1);
    return FileRange{.offset = *first, .bytes = end - *first + 1, .partial = true};
}

} // namespace slipway::seeder
