#pragma once

// What strategy_text.cpp and strategy_encode.cpp read and write texts with.

#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/core/numbers.h"
#include "orchestrator/core/strategy.h"

namespace slipway::orchestrator::text {

using Json = nlohmann::json;
using Lines = std::map<std::string, unsigned>; ///< Where each key stands in the text.

inline constexpr Milliseconds duration_max = std::chrono::hours(24 * 30);
/// "90s", "10m", "2h": the largest unit that is exact.
[[nodiscard]] std::string duration_text(Milliseconds duration);
[[nodiscard]] std::optional<Milliseconds> parse_duration(std::string_view text);
/// The shortest text that reads back to the same number.
[[nodiscard]] std::string number_text(double value);
/// TOML or JSON as JSON, in which numbers with a fraction are texts. Error: Errc::usage.
[[nodiscard]] Result<Json> read_text(std::string_view text, std::string_view what, Lines& lines);

/// Takes the keys that are known; the first problem is kept, and what nobody took is one.
class Reader {
public:
    Reader(const Json& object, std::string path, const Lines& lines, std::string& problem)
        : object_(object), path_(std::move(path)), lines_(lines), problem_(problem) {}

    void text(const char* key, std::string& into, std::size_t bytes_max) {
        if (const auto* value = get(key)) {
            if (!value->is_string() || value->get_ref<const std::string&>().size() > bytes_max) {
                return complain(key, "must be a text of at most " + std::to_string(bytes_max) +
                                         " bytes");
            }
            into = value->get<std::string>();
        }
    }
    void flag(const char* key, bool& into) {
        if (const auto* value = get(key)) {
            value->is_boolean() ? void(into = value->get<bool>())
                                : complain(key, "must be true or false");
        }
    }
    void count(const char* key, std::uint32_t& into, std::uint32_t max) {
        if (const auto* value = get(key)) {
            if (!value->is_number_unsigned() || value->get<std::uint64_t>() > max) {
                return complain(key, "must be a number from 0 to " + std::to_string(max));
            }
            into = value->get<std::uint32_t>();
        }
    }
    void number(const char* key, double& into) {
        if (const auto* value = get(key)) {
            const auto parsed = value->is_string()
                                    ? parse_number<double>(value->get_ref<const std::string&>())
                                : value->is_number_integer() ? std::optional(value->get<double>())
                                                             : std::nullopt;
            parsed&& std::isfinite(*parsed) ? void(into = *parsed)
                                            : complain(key, "must be a number");
        }
    }
    void number(const char* key, std::optional<double>& into) {
        if (object_.contains(key)) {
            into = 0.0;
            number(key, *into);
        }
    }
    void duration(const char* key, Milliseconds& into, Milliseconds least = Milliseconds{0}) {
        if (const auto* value = get(key)) {
            if (const auto parsed = duration_of(*value); parsed && *parsed >= least) {
                into = *parsed;
            } else {
                complain(key, duration_rule(least));
            }
        }
    }
    void amount(const char* key, Amount& into) {
        if (const auto* value = get(key)) {
            auto parsed = amount_of(*value);
            parsed ? void(into = *parsed) : complain(key, parsed.error().context);
        }
    }
    // Calls `take` with each element, and its path.
    template <typename Take>
    void list(const char* key, std::size_t max, Take take) {
        const auto* value = get(key);
        if (value == nullptr) {
            return;
        }
        if (!value->is_array() || value->size() > max) {
            return complain(key, "must be a list of at most " + std::to_string(max));
        }
        for (std::size_t i = 0; i < value->size(); ++i) {
            take((*value)[i], std::string(key) + "[" + std::to_string(i + 1) + "]");
        }
    }
    const Json* get(const char* key) {
        taken_.emplace(key);
        const auto found = object_.find(key);
        return found == object_.end() ? nullptr : &*found;
    }
    void complain(const std::string& key, const std::string& why) {
        if (!problem_.empty()) {
            return;
        }
        const auto path = path_.empty() ? key : path_ + "." + key;
        const auto line = lines_.find(path);
        problem_ = (line == lines_.end() ? "" : "line " + std::to_string(line->second) + ": ") +
                   printable(path) + " " + why;
    }
    void end() {
        for (const auto& [key, value] : object_.items()) {
            if (!taken_.contains(key)) {
                complain(key.substr(0, 60), "is not known here");
            }
        }
    }
    static std::optional<Milliseconds> duration_of(const Json& value) {
        return value.is_string() ? parse_duration(value.get_ref<const std::string&>())
                                 : std::nullopt;
    }
    static std::string duration_rule(Milliseconds least) {
        return "must be a time such as \"90s\", \"10m\" or \"2h\", from " + duration_text(least) +
               " to " + duration_text(duration_max);
    }
    static Result<Amount> amount_of(const Json& value) {
        if (value.is_number_unsigned()) {
            return Amount::parse(std::to_string(value.get<std::uint64_t>()));
        }
        return Amount::parse(value.is_string() ? value.get_ref<const std::string&>() : "?");
    }

private:
    const Json& object_;
    std::string path_;
    const Lines& lines_;
    std::string& problem_;
    std::set<std::string> taken_;
};

} // namespace slipway::orchestrator::text
