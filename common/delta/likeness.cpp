#include "common/delta/likeness.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

namespace slipway {
namespace {

constexpr std::size_t features_max = 64;
constexpr std::size_t piece_bytes_min = 512;
constexpr std::size_t piece_bytes_max = 16ULL * 1024;
/// 11 bits: one boundary in 2 KiB. The high bits of a gear hash depend on the last 64 bytes.
constexpr std::uint64_t boundary_mask = 0x7FFULL << 53U;

/// SplitMix64's output function: spreads every input bit over the result.
constexpr std::uint64_t mix(std::uint64_t value) {
    value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    value = (value ^ (value >> 27U)) * 0x94D049BB133111EBULL;
    return value ^ (value >> 31U);
}

constexpr std::array<std::uint64_t, 256> gear_table = [] {
    std::array<std::uint64_t, 256> table{};
    for (std::size_t i = 0; i < table.size(); ++i) {
        table[i] = mix((i + 1) * 0x9E3779B97F4A7C15ULL);
    }
    return table;
}();

/// Length of the piece that `content` begins with. Boundaries follow content, so that an insertion
/// moves the pieces behind it without changing them.
std::size_t piece_length(ByteSpan content) {
    const auto end = std::min(content.size(), piece_bytes_max);
    std::uint64_t gear = 0;
    for (std::size_t i = std::min(piece_bytes_min, end); i < end; ++i) {
        gear = (gear << 1U) + gear_table[content[i]];
        if ((gear & boundary_mask) == 0) {
            return i + 1;
        }
    }
    return end;
}

std::uint64_t piece_hash(ByteSpan piece) {
    std::uint64_t hash = piece.size();
    while (!piece.empty()) {
        std::uint64_t word = 0;
        const auto count = std::min(piece.size(), sizeof word);
        std::memcpy(&word, piece.data(), count);
        hash = mix(hash ^ word) + 0x9E3779B97F4A7C15ULL;
        piece = piece.subspan(count);
    }
    return hash;
}

bool is_separator(char character) {
    return character == '.' || character == '-' || character == '_' || character == '~';
}

struct Classes {
    bool hexadecimal = true;
    bool alphanumeric = true;
    std::size_t digits = 0;
    std::size_t lower = 0;
    std::size_t upper = 0;
};

Classes classes_of(std::string_view token) {
    Classes found;
    for (const char character : token) {
        const auto byte = static_cast<unsigned char>(character);
        found.digits += static_cast<std::size_t>(std::isdigit(byte) != 0);
        found.lower += static_cast<std::size_t>(std::islower(byte) != 0);
        found.upper += static_cast<std::size_t>(std::isupper(byte) != 0);
        found.hexadecimal &= std::isxdigit(byte) != 0;
        found.alphanumeric &= std::isalnum(byte) != 0;
    }
    return found;
}

/// Bundlers write 4 to 64 hexadecimal digits, or 8 and more of base 36, 62 or 64. A word of a
/// language has no digits and no capitals inside; a number is not a hash.
bool looks_like_hash(std::string_view token) {
    const auto found = classes_of(token);
    const auto letters = found.lower + found.upper;
    if (found.hexadecimal && token.size() >= 4 && found.digits > 0 && letters > 0) {
        return true;
    }
    if (found.hexadecimal && token.size() >= 16) {
        return true;
    }
    if (!found.alphanumeric || token.size() < 8) {
        return false;
    }
    return found.digits > 0 ? letters > 0
                            : found.lower > 1 && found.upper > 1 && token.size() % 4 == 0;
}

/// `name` up to its last dot, without the dot; all of it if there is none.
std::string_view without_extension(std::string_view name) {
    return name.substr(0, name.rfind('.'));
}

/// Base 64 for URLs contains '-' and '_', which also separate: "index-B_x-8aQ1.js" ends in 8 such
/// characters. Gives the position where they begin, or npos.
std::size_t trailing_base64(std::string_view body) {
    constexpr std::size_t hash_length = 8;
    if (body.size() < hash_length + 2 || !is_separator(body[body.size() - hash_length - 1])) {
        return std::string_view::npos;
    }
    const auto token = body.substr(body.size() - hash_length);
    const auto inside = token.find_first_of("-_");
    const auto found = classes_of(token);
    if (inside == std::string_view::npos || token.find_first_of(".~") != std::string_view::npos ||
        found.digits == 0 || found.upper == 0 || found.lower == 0) {
        return std::string_view::npos;
    }
    return body.size() - hash_length;
}

void append_stem_of_name(std::string& stem, std::string_view name) {
    const auto body = without_extension(name);
    auto end = body.size();
    if (const auto begin = trailing_base64(body); begin != std::string_view::npos) {
        end = begin;
    }
    for (std::size_t i = 0; i < end;) {
        auto stop = i;
        while (stop < end && !is_separator(name[stop])) {
            ++stop;
        }
        const auto token = name.substr(i, stop - i);
        stem += looks_like_hash(token) ? std::string_view("*") : token;
        if (stop < end) {
            stem += name[stop];
        }
        i = stop + 1;
    }
    if (end < body.size()) {
        stem += '*';
    }
    stem += name.substr(body.size());
}

} // namespace

Sketch sketch_of(ByteSpan content) {
    std::vector<std::uint64_t> features;
    // Sorting now and then keeps the list short whatever the length of the content.
    const auto keep_smallest = [&features] {
        std::sort(features.begin(), features.end());
        features.erase(std::unique(features.begin(), features.end()), features.end());
        features.resize(std::min(features.size(), features_max));
    };
    while (!content.empty()) {
        const auto piece = content.first(piece_length(content));
        features.push_back(piece_hash(piece));
        content = content.subspan(piece.size());
        if (features.size() >= 64 * features_max) {
            keep_smallest();
        }
    }
    keep_smallest();
    features.shrink_to_fit();
    return {std::move(features)};
}

double likeness(const Sketch& left, const Sketch& right) {
    // The smallest hashes of the union are a uniform sample of it; the share of them that both
    // sides have estimates the share of all pieces (bottom-k MinHash).
    std::size_t in_sample = 0;
    std::size_t in_both = 0;
    auto l = left.features.begin();
    auto r = right.features.begin();
    while (in_sample < features_max && (l != left.features.end() || r != right.features.end())) {
        ++in_sample;
        if (r == right.features.end() || (l != left.features.end() && *l < *r)) {
            ++l;
        } else if (l == left.features.end() || *r < *l) {
            ++r;
        } else {
            ++in_both;
            ++l;
            ++r;
        }
    }
    return in_sample == 0 ? 0.0 : static_cast<double>(in_both) / static_cast<double>(in_sample);
}

std::string path_stem(std::string_view path) {
    std::string stem;
    stem.reserve(path.size());
    while (!path.empty()) {
        const auto slash = path.find('/');
        const auto name = path.substr(0, slash);
        append_stem_of_name(stem, name);
        if (slash == std::string_view::npos) {
            break;
        }
        stem += '/';
        path.remove_prefix(slash + 1);
    }
    return stem;
}

} // namespace slipway
