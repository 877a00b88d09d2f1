#include "common/trust/metadata.h"

#include <algorithm>

#include "common/core/sha256.h"

namespace slipway::trust {
namespace {

/// Matches `c` against the bracket expression at the start of `pattern` and gives the expression's
/// length; 0 if it is not closed, in which case '[' stands for itself.
std::size_t match_bracket(std::string_view pattern, char c, bool& matched) {
    std::size_t at = 1;
    const bool negated = at < pattern.size() && pattern[at] == '!';
    at += negated ? 1 : 0;
    bool found = false;
    for (const auto first = at; at < pattern.size(); ++at) {
        if (pattern[at] == ']' && at > first) {
            matched = found != negated && c != '/';
            return at + 1;
        }
        const bool range =
            at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']';
        const char low = pattern[at];
        const char high = range ? pattern[at + 2] : low;
        found = found || (low <= c && c <= high);
        at += range ? 2 : 0;
    }
    return 0;
}

/// Matches one byte; gives the length of the pattern that matched it, 0 for no match.
std::size_t match_one(std::string_view pattern, char c) {
    if (pattern.front() == '?') {
        return c == '/' ? 0 : 1;
    }
    if (pattern.front() == '[') {
        bool matched = false;
        const auto length = match_bracket(pattern, c, matched);
        if (length > 0) {
            return matched ? length : 0;
        }
    }
    return pattern.front() == c ? 1 : 0;
}

} // namespace

// Only the last '*' is tried again, as in any shell matcher: a '*' does not pass a '/', so each
// component of the pattern meets one component of the path, and within it the last '*' suffices.
bool matches_pattern(std::string_view pattern, std::string_view path) {
    constexpr auto none = std::string_view::npos;
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = none;    // Where in the pattern the last '*' was,
    std::size_t star_taken = 0; // and to where in the path it reaches.
    while (t < path.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_taken = t;
            continue;
        }
        const auto step = p < pattern.size() ? match_one(pattern.substr(p), path[t]) : 0;
        if (step > 0) {
            p += step;
            ++t;
        } else if (star != none && path[star_taken] != '/') {
            p = star + 1;
            t = ++star_taken;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == none;
}

bool Delegation::covers(std::string_view target_path) const {
    if (!path_hash_prefixes.empty()) {
        const auto digest = sha256(as_bytes(target_path)).hex();
        return std::any_of(path_hash_prefixes.begin(), path_hash_prefixes.end(),
                           [&](const std::string& prefix) { return digest.starts_with(prefix); });
    }
    return std::any_of(paths.begin(), paths.end(), [&](const std::string& pattern) {
        return matches_pattern(pattern, target_path);
    });
}

} // namespace slipway::trust
