#include "seeder/core/push_rules.h"

#include <algorithm>
#include <array>

#include "common/core/errc.h"
#include "common/core/numbers.h"
#include "common/trust/metadata.h"
#include "seeder/core/http_rules.h"

namespace slipway::seeder {
namespace {

constexpr std::string_view prefix = "/v1/push";
constexpr std::size_t digest_digits = 64;

// "17.targets.json": what a version number leads never changes; timestamp.json comes with the
// request that ends a push, never alone.
bool is_versioned_metadata(std::string_view name) {
    const auto dot = name.find('.');
    if (dot == std::string_view::npos || !parse_number<std::uint64_t>(name.substr(0, dot))) {
        return false;
    }
    constexpr std::string_view suffix = ".json";
    const auto role_file = name.substr(dot + 1);
    return role_file.ends_with(suffix) && role_file.size() > suffix.size();
}

} // namespace

std::optional<PushObject> push_object(std::string_view http_path) {
    if (!http_path.starts_with(prefix)) {
        return std::nullopt;
    }
    auto path = repository_path(http_path.substr(prefix.size()));
    if (!path) {
        return std::nullopt;
    }
    const std::string_view text = *path;
    const auto name = text.substr(text.rfind('/') + 1);
    if (text.starts_with("metadata/")) {
        return text == "metadata/" + std::string(name) && is_versioned_metadata(name)
                   ? std::optional(PushObject{PushKind::metadata, *path, {}})
                   : std::nullopt;
    }
    const auto digest =
        Sha256Digest::from_hex(name.substr(0, std::min(digest_digits, name.size())));
    if (!digest) {
        return std::nullopt;
    }
    if (text.starts_with("packs/")) {
        return text == "packs/" + digest->hex()
                   ? std::optional(PushObject{PushKind::pack, *path, *digest})
                   : std::nullopt;
    }
    return name.size() > digest_digits + 1 && name[digest_digits] == '.'
               ? std::optional(PushObject{PushKind::target, *path, *digest})
               : std::nullopt;
}

std::uint64_t push_bytes_max(PushKind kind) {
    switch (kind) {
    case PushKind::pack:
        return 1ULL << 40U; // 1 TiB.
    case PushKind::target:
        return 64ULL * 1024 * 1024;
    case PushKind::metadata:
        return trust::limits::targets_bytes;
    }
    return 0;
}

std::optional<PushRange> push_range(std::string_view header) {
    constexpr std::string_view unit = "bytes ";
    const auto dash = header.find('-');
    const auto slash = header.find('/');
    if (!header.starts_with(unit) || dash == std::string_view::npos ||
        slash == std::string_view::npos || slash < dash) {
        return std::nullopt;
    }
    const auto first = parse_number<std::uint64_t>(header.substr(unit.size(), dash - unit.size()));
    const auto last = parse_number<std::uint64_t>(header.substr(dash + 1, slash - dash - 1));
    const auto total = parse_number<std::uint64_t>(header.substr(slash + 1));
    if (!first || !last || !total || *first > *last || *last >= *total ||
        *last - *first >= push_request_bytes_max) {
        return std::nullopt;
    }
    return PushRange{.offset = *first, .bytes = *last - *first + 1, .total = *total};
}

Result<> check_push(const PushObject& object, const PushRange& range, std::uint64_t bytes_there) {
    if (range.total > push_bytes_max(object.kind)) {
        return fail(Errc::failed,
                    object.path + ": " + std::to_string(range.total) + " bytes are more than the " +
                        std::to_string(push_bytes_max(object.kind)) + " that such a file may have");
    }
    if (range.offset != bytes_there) {
        return fail(Errc::failed, object.path + ": " + std::to_string(bytes_there) +
                                      " bytes are here; go on from there");
    }
    return {};
}

} // namespace slipway::seeder
